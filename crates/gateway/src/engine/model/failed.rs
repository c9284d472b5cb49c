//! Programs that failed once, in their simplest form, each with the fault that it found.

use super::program::{
    Act, AppEnd, AppSide, Outcome, Plan, Program, Reads, ServerEnd, ServerSide, Setting, Speaks,
    To, What,
};

/// Seeds of programs that could not be simplified.
const SEEDS: [u64; 7] = [
    // A window that closed over data under way, by ACKs that overtook each other: smoltcp had no
    // timer left.
    15_367_182_816_702_193_115,
    // The same with a window that opened for less than was under way.
    8_905_334_285_946_632_547,
    // Two that both went back to what they sent again no longer took each other's ACKs.
    3_966_305_284_268_318_361,
    8_027_037_670_869_391_123,
    // A SYN that was overtaken by its whole connection opens another one, which the app refuses.
    3_893_255_993_204_677_575,
    // A FIN after data that the app's window had no room for.
    7_907_706_110_295_044_336,
    // The ACK of our FIN stood only in a FIN that overtook the data before it, and was dropped with
    // it: our FIN came again, to a kernel that had forgotten the connection.
    10_399_391_768_817_714_600,
];

pub(super) fn programs() -> Vec<Program> {
    let connect = |up, down, app, server| {
        let plan =
            Plan { to: To::V4, outcome: Outcome::Opened, connect_ms: 0, up, down, app, server };
        vec![Act { at_ms: 0, what: What::Connect(plan) }]
    };
    let mut programs = vec![
        // Room that the app made after both had finished was used a second later: smoltcp takes no
        // window update in LAST-ACK.
        Program {
            seed: 4_630_416_604_702_140_486,
            setting: Setting::PLAIN,
            acts: connect(
                0,
                64_520,
                AppSide { buffer: 600, end: AppEnd::AfterSending, reads: Reads::Slowly(4652) },
                ServerSide {
                    speaks: Speaks::AfterApp,
                    end: ServerEnd::AfterApp,
                    reads: Reads::Eagerly,
                },
            ),
        },
        // A FIN that was lost did not come again: smoltcp stops its timer at the third equal ACK.
        Program {
            seed: 737_756_950_108_306_314,
            setting: Setting { offload: true, overtaken: 200, ..Setting::PLAIN },
            acts: connect(
                24_945,
                23_140,
                AppSide { buffer: 300_000, end: AppEnd::AfterServer, reads: Reads::Eagerly },
                ServerSide {
                    speaks: Speaks::AfterApp,
                    end: ServerEnd::AfterSending,
                    reads: Reads::Eagerly,
                },
            ),
        },
        // A server that reset right after its accept was taken for one that refuses.
        Program {
            seed: 4_790_089_906_432_986_455,
            setting: Setting::PLAIN,
            acts: connect(
                0,
                0,
                AppSide { buffer: 65_536, end: AppEnd::AfterSending, reads: Reads::Eagerly },
                ServerSide { speaks: Speaks::AtOnce, end: ServerEnd::Reset, reads: Reads::Eagerly },
            ),
        },
    ];
    programs.extend(SEEDS.map(Program::random));
    programs
}
