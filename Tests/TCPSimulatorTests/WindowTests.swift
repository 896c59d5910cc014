import TCPEngine
import TCPSimulator
import TCPStack
import TCPWire
import Testing

/// Buffers that follow the need, over whole paths, with nothing set but the memory there is.
@Suite("Long fat paths without a setting")
struct WindowTests {
    #if DEBUG
        // A twentieth of the path, twice what windows begin with.
        private static let (rate, delay, seconds, warmUp) = (5e6, Duration.milliseconds(128), 8, 5)
    #else
        private static let (rate, delay, seconds, warmUp) = (1e9, Duration.milliseconds(128), 14, 8)
    #endif

    @Test("1 Gb/s over 256 ms, 32 MB in flight, is filled with 256 MiB of memory (release)", arguments: [false, true])
    func filled(ipv6: Bool) {
        let path = Int(WindowTests.rate / 8 * 0.256)
        var options = SceneOptions()
        options.ipv6 = ipv6
        var transfer = Transfer(
            bytes: 0, link: LinkConfiguration(rate: WindowTests.rate, delay: WindowTests.delay, queue: path),
            options: options)
        transfer.configuration.memoryBudget = 256 << 20
        transfer.duration = .seconds(WindowTests.seconds)
        transfer.warmUp = .seconds(WindowTests.warmUp)
        let report = transfer.run()
        #expect(report.isIntact)
        let share = (report.together?.goodput ?? 0) / (WindowTests.rate * transfer.payloadFraction)
        #expect(share >= 0.9, "\(share)")
    }
}
