//! Two settings of the C library's allocator.

/// Large buffers are a mapping each, for ever: their memory is touched only as it is used, and goes back when they are freed.
/// glibc would raise its threshold when the first one is freed, and from then on keep and reuse touched memory: 10,000 idle
/// connections then cost gigabytes. And it would cut buffers from the end of a heap that it grows ahead of need, which
/// `calloc` must clear, and thereby touch; without that padding it does not.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "there is no safe way to these settings")]
pub(crate) fn return_what_is_idle() {
    // The smallest ring of a connection.
    const THRESHOLD: libc::c_int = 16 * 1024;
    for (setting, value) in [(libc::M_MMAP_THRESHOLD, THRESHOLD), (libc::M_TOP_PAD, 0)] {
        // SAFETY: mallopt takes two integers, and is called before any other thread runs.
        if unsafe { libc::mallopt(setting, value) } == 0 {
            tracing::debug!("the allocator keeps its own ways: idle connections will cost more memory");
        }
    }
}

/// Other C libraries have no such ways.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn return_what_is_idle() {}
