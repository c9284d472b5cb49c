//! Why a tool's file is left as it is.

/// Why a file cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It is no TOML.
    #[error("it is not valid TOML and is left unchanged: {problem}")]
    Toml {
        /// What is wrong, in lines of its own.
        problem: String,
    },
    /// It is no JSON object, or has something else where an object should be.
    #[error("it is not a JSON object and is left unchanged: {problem}")]
    Json {
        /// What is wrong.
        problem: String,
    },
}
