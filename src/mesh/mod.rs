//! (floor to be filled)
