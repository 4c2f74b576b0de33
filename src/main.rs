//! Flags, stages, exit code; nothing else.

fn main() -> std::process::ExitCode {
    ringprobe::cli::main()
}
