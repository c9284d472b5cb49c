//! Returns the C library's free memory to the kernel.
#![cfg_attr(target_env = "gnu", expect(unsafe_code, reason = "there is no safe way to do this"))]

/// Returns all unused pages of the heap, wherever they are. Examines the whole heap.
#[cfg(target_env = "gnu")]
pub(crate) fn give_memory_back() {
    // SAFETY: malloc_trim takes an integer, and may be called by any thread at any time
    // (malloc_trim(3)).
    unsafe { libc::malloc_trim(0) };
}

/// Other C libraries have no such function.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn give_memory_back() {}
