//! How the C library's allocator gives memory back.
#![cfg_attr(target_env = "gnu", expect(unsafe_code, reason = "there is no safe way to this"))]

/// Gives back the pages of the heap that nothing lies in any more, wherever they are. Looks at all
/// of the heap.
#[cfg(target_env = "gnu")]
pub(crate) fn give_memory_back() {
    // SAFETY: malloc_trim takes an integer, and may be called by any thread at any time
    // (malloc_trim(3)).
    unsafe { libc::malloc_trim(0) };
}

/// Other C libraries have no such way.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn give_memory_back() {}
