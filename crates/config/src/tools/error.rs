//! Why a tool's file is left as it is.

/// Why a file cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The file is not valid TOML.
    #[error("it is not valid TOML and is left unchanged: {problem}")]
    Toml {
        /// The fault, in lines of its own.
        problem: String,
    },
    /// The file is not a JSON object, or has another value where an object should be.
    #[error("it is not a JSON object and is left unchanged: {problem}")]
    Json {
        /// What is wrong.
        problem: String,
    },
}
