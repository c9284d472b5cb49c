//! Gives the Windows program its version information, which users and antivirus programs read.

use std::env;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS")? != "windows" {
        return Ok(());
    }
    let version = env::var("CARGO_PKG_VERSION")?;
    let mut resource = winresource::WindowsResource::new();
    resource
        .set("ProductName", "Underpass")
        .set("FileDescription", "Underpass relay: opens network connections for WSL")
        .set("CompanyName", "The Underpass developers")
        .set("LegalCopyright", "MIT OR Apache-2.0")
        .set("OriginalFilename", "underpass-relay.exe")
        .set("InternalName", "underpass-relay")
        .set("FileVersion", &version)
        .set("ProductVersion", &version);
    resource.compile()?;
    Ok(())
}
