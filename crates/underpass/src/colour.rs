//! Whether output has colours.

use clap::ColorChoice;

/// Whether escape sequences for colours may go to a stream: as `--color` says, or else to a
/// terminal, unless NO_COLOR is set and not empty (<https://no-color.org>).
pub(crate) fn is_wanted(choice: ColorChoice, is_terminal: bool) -> bool {
    wanted(choice, is_terminal, std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()))
}

fn wanted(choice: ColorChoice, is_terminal: bool, no_color: bool) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => is_terminal && !no_color,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_goes_over_the_variable_and_that_over_the_terminal() {
        for no_color in [false, true] {
            assert_eq!(wanted(ColorChoice::Auto, true, no_color), !no_color);
            assert!(!wanted(ColorChoice::Auto, false, no_color));
            for is_terminal in [false, true] {
                assert!(wanted(ColorChoice::Always, is_terminal, no_color));
                assert!(!wanted(ColorChoice::Never, is_terminal, no_color));
            }
        }
    }
}
