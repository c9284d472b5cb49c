//! Windows' libraries that are loaded while the program runs, and from the system's folder only.
//!
//! The loader looks for an imported library in the program's own folder first, unless it is a known
//! DLL (Microsoft, "Dynamic-link library search order"). That folder belongs to the user, so a
//! program that writes a `winhttp.dll` there would run inside the relay. So the relay imports only
//! known DLLs, the libraries that these need in turn, and API sets; a test of the lab reads the
//! list from the file.

use std::io;
use windows_sys::Win32::Foundation::HMODULE;
use windows_sys::Win32::System::LibraryLoader::{
    GetProcAddress, LOAD_LIBRARY_SEARCH_SYSTEM32, LoadLibraryExW, SetDefaultDllDirectories,
};

/// Limits the search for libraries to the system's folder, also for libraries that Windows' own
/// ones load.
///
/// # Errors
/// Windows' error. Libraries are then searched for in this program's folder too.
pub fn only_from_system() -> io::Result<()> {
    // SAFETY: takes a number (Microsoft's page of `SetDefaultDllDirectories`).
    if unsafe { SetDefaultDllDirectories(LOAD_LIBRARY_SEARCH_SYSTEM32) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// A library of the system. It stays loaded.
pub(super) struct Library(HMODULE);

impl Library {
    /// # Errors
    /// The system's folder has no such library, or one that cannot be loaded.
    pub(super) fn system(file: &str) -> io::Result<Self> {
        let file = super::text::wide(file);
        // SAFETY: the name ends with a zero. With the flag Windows takes the file, and the
        // libraries that it needs, from the system's folder (Microsoft's page of `LoadLibraryExW`).
        let library = unsafe {
            LoadLibraryExW(file.as_ptr(), std::ptr::null_mut(), LOAD_LIBRARY_SEARCH_SYSTEM32)
        };
        if library.is_null() { Err(io::Error::last_os_error()) } else { Ok(Self(library)) }
    }

    /// The address of a function.
    ///
    /// # Errors
    /// This Windows' library has no function of that name.
    ///
    /// # Safety
    /// `F` is the type of a pointer to the function of that name.
    pub(super) unsafe fn function<F: Copy>(&self, name: &str) -> io::Result<F> {
        const { assert!(size_of::<F>() == size_of::<usize>()) };
        let name: Vec<u8> = name.bytes().chain([0]).collect();
        // SAFETY: the library stays loaded, and the name ends with a zero.
        let address = unsafe { GetProcAddress(self.0, name.as_ptr()) };
        let Some(address) = address else { return Err(io::Error::last_os_error()) };
        // SAFETY: both are pointers to functions, of one size; the caller guarantees the type.
        Ok(unsafe { std::mem::transmute_copy(&address) })
    }
}

/// Declares a structure of pointers to functions of one library, which is loaded at the first use.
/// Each is declared with its name in Windows and its type, which is compared with that of
/// `windows-sys`.
macro_rules! functions {
    ($(#[$about:meta])* $visible:vis struct $name:ident from $file:literal {
        $($field:ident: $function:ident($($argument:ty),* $(,)?) $(-> $result:ty)?;)*
    }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug)]
        $visible struct $name {
            $($visible $field: unsafe extern "system" fn($($argument),*) $(-> $result)?,)*
        }

        // Naming a function here imports nothing.
        $(const _: unsafe extern "system" fn($($argument),*) $(-> $result)? = $function;)*

        impl $name {
            /// # Errors
            /// This Windows lacks some of these functions.
            $visible fn load() -> std::io::Result<Self> {
                static LOADED: std::sync::OnceLock<Result<$name, i32>> = std::sync::OnceLock::new();
                let load = || {
                    let library = $crate::os::win32::library::Library::system($file)?;
                    // SAFETY: the constants above compare each type with that of the bindings.
                    std::io::Result::Ok(unsafe {
                        Self { $($field: library.function(stringify!($function))?,)* }
                    })
                };
                let code = |error: std::io::Error| error.raw_os_error().unwrap_or_default();
                LOADED.get_or_init(|| load().map_err(code)).map_err(std::io::Error::from_raw_os_error)
            }
        }
    };
}

pub(super) use functions;
