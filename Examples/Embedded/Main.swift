// The demo's exchange as an Embedded Swift program: no runtime, no reflection, and of the operating system only `print`.

/// The program's entry: 0 when the bytes arrived unharmed and both ends went through the RFC's states, 1 otherwise.
/// A C function, because only that can give an exit code without an operating system's module; SwiftPM makes the linker
/// call this name `main`.
@c(EmbeddedExample_main)
public func run() -> Int32 {
    var exchange = Exchange(payload: 64 << 10)
    return exchange.run() ? 0 : 1
}
