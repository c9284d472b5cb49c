//! A test's own files.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

/// A folder for a test's own files; removed on drop.
#[derive(Debug)]
pub struct Scratch(std::path::PathBuf);

impl Scratch {
    /// An empty folder with a unique name.
    #[must_use]
    pub fn new() -> Self {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("underpass-scratch-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        readable(&folder);
        Self(folder)
    }

    /// The path of something in it.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Writes an executable file into it; returns its path.
    #[must_use]
    pub fn file(&self, name: &str, text: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// The content of a file in it; empty if it does not exist.
    #[must_use]
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

/// Lets every user into a folder, whatever the umask: some programs run as another user.
pub(crate) fn readable(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A folder left in the temporary directory does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
