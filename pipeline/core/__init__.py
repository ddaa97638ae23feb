"""What all other rooms import and what imports none of them: params, errors, the row schema, the frame of a stage."""
