"""The base of the pipeline, which all other folders import: params, errors, the row schema, the frame of a stage."""
