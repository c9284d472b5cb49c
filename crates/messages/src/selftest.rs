//! What `underpass selftest` shows besides its findings (`reasons`).

sentences! {
    /// The first line.
    ON:
        "underpass {version} on Linux {kernel} ({machine})",
        "underpass {version}，运行于 Linux {kernel}（{machine}）";
    YES: "yes", "通过";
    NO: "NO", "失败";
    SKIPPED: "skipped", "跳过";
    /// While an item is tried.
    TRYING: "trying {item}", "正在测试 {item}";
}
