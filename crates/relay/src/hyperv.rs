//! Addresses of Hyper-V sockets: a port of `AF_VSOCK` in a VM, as Windows names it. Pure data, so
//! that it is tested on each system; `windows/` connects.

/// `AF_HYPERV` of ws2def.h.
pub(crate) const FAMILY: u16 = 34;

/// The bytes of `SOCKADDR_HV` of hvsocket.h: a family of 2 bytes, 2 reserved ones, and two GUIDs.
pub(crate) const ADDRESS_BYTES: usize = 36;

/// The service of Linux' port 0, as the bytes of its GUID 00000000-facb-11e6-bd58-64006a7986d3
/// (`HV_GUID_VSOCK_TEMPLATE` of hvsocket.h; Microsoft, "Make your own integration services"). The
/// port takes the place of the first field.
const SERVICE: Guid = Guid {
    first: 0,
    second: 0xfacb,
    third: 0x11e6,
    rest: [0xbd, 0x58, 0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3],
};

/// A GUID by the fields of guiddef.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Guid {
    first: u32,
    second: u16,
    third: u16,
    rest: [u8; 8],
}

impl Guid {
    /// Reads a GUID in its usual groups, with or without braces.
    fn parse(text: &str) -> Option<Self> {
        let bare = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
        let groups: Vec<&str> = bare.split('-').collect();
        let lengths = groups.iter().map(|group| group.len());
        let digits = groups.concat();
        if !lengths.eq([8, 4, 4, 4, 12]) || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let bits = u128::from_str_radix(&digits, 16).ok()?;
        Some(Self {
            first: (bits >> 96) as u32,
            second: (bits >> 80) as u16,
            third: (bits >> 64) as u16,
            rest: (bits as u64).to_be_bytes(),
        })
    }

    /// Its 16 bytes in memory: Windows runs on little-endian processors only.
    fn bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&self.first.to_le_bytes());
        bytes[4..6].copy_from_slice(&self.second.to_le_bytes());
        bytes[6..8].copy_from_slice(&self.third.to_le_bytes());
        bytes[8..].copy_from_slice(&self.rest);
        bytes
    }
}

/// A `SOCKADDR_HV`, with its alignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(4))]
pub(crate) struct Address(pub(crate) [u8; ADDRESS_BYTES]);

impl Address {
    /// The address of a port of `AF_VSOCK` in the VM with that id; `None` if the id is not a GUID.
    pub(crate) fn of_port(vm: &str, port: u32) -> Option<Self> {
        let vm = Guid::parse(vm)?;
        let service = Guid { first: port, ..SERVICE };
        let mut bytes = [0; ADDRESS_BYTES];
        bytes[..2].copy_from_slice(&FAMILY.to_le_bytes());
        bytes[4..20].copy_from_slice(&vm.bytes());
        bytes[20..].copy_from_slice(&service.bytes());
        Some(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VM: &str = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";

    /// Each byte by the declarations of ws2def.h, hvsocket.h and guiddef.h of the Windows SDK.
    #[test]
    fn an_address_has_the_bytes_that_windows_reads() {
        let expected = [
            // Family: AF_HYPERV (34); Reserved
            34, 0, 0, 0, //
            // VmId: Data1, Data2, Data3 in the processor's order, Data4 as bytes
            0x3d, 0x2c, 0x1b, 0x0a, 0x5f, 0x4e, 0x71, 0x60, //
            0x82, 0x93, 0xa4, 0xb5, 0xc6, 0xd7, 0xe8, 0xf9, //
            // ServiceId: the port, then facb-11e6-bd58-64006a7986d3
            0x88, 0x13, 0x00, 0x00, 0xcb, 0xfa, 0xe6, 0x11, //
            0xbd, 0x58, 0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3,
        ];
        assert_eq!(Address::of_port(VM, 5000).unwrap().0, expected);
        let braces = format!("{{{}}}", VM.to_ascii_uppercase());
        assert_eq!(Address::of_port(&braces, 5000).unwrap().0, expected);
        // A port has 32 bits, and random ones use them all.
        let high = Address::of_port(VM, 0xfedc_ba98).unwrap();
        assert_eq!(high.0[20..24], [0x98, 0xba, 0xdc, 0xfe]);
    }

    #[test]
    fn a_text_that_is_no_guid_is_no_vm() {
        for text in ["", "wsl1", "0a1b2c3d4e5f60718293a4b5c6d7e8f9", &VM[1..], &format!("{VM}0")] {
            assert_eq!(Address::of_port(text, 5000), None, "{text:?}");
        }
        assert_eq!(Address::of_port(&VM.replace('0', "+"), 5000), None);
    }
}
