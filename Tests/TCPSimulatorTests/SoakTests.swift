import TCPSimulator
import TCPStack
import TCPTrace
import TCPWire
import Testing

/// Debug builds run this code many times slower than release builds.
#if DEBUG
    private let seedsPerFamily = 2
    private let soakBytes = 100_000
#else
    private let seedsPerFamily = 1000
    private let soakBytes = 1_000_000
#endif

@Suite("Bad networks")
struct SoakTests {
    private static let parts = 4

    /// What stacks hold that have never seen a connection, one of them with a listener.
    private static func emptyHosts() -> (client: Int, server: Int) {
        let pair = Pair(tracing: false)
        _ = try? pair.server.listen(on: 80) { _ in EchoApplication() }
        return (pair.client.stack.memory.total, pair.server.stack.memory.total)
    }

    /// 5 % loss, 5 % duplication, 20 % reordering and 1 % corruption at once, both ways.
    private func soak(seed: UInt64, ipv6: Bool) -> Transfer.Report {
        var transfer = Transfer(
            bytes: soakBytes, link: LinkConfiguration(delay: .milliseconds(10)),
            faults: LinkFaults(loss: 0.05, duplication: 0.05, reordering: 0.2, corruption: 0.01),
            options: SceneOptions(seed: seed, ipv6: ipv6))
        transfer.replyBytes = soakBytes
        return transfer.run()
    }

    @Test(
        "Loss, duplication, reordering and corruption together leave every octet intact and nothing behind",
        arguments: [false, true], 0..<parts)
    func everySeed(ipv6: Bool, part: Int) {
        let empty = SoakTests.emptyHosts()
        for seed in stride(from: part, to: seedsPerFamily, by: SoakTests.parts) {
            let report = soak(seed: UInt64(seed) + 1, ipv6: ipv6)
            #expect(report.isIntact, "seed \(seed + 1)")
            #expect(report.outcome == .idle, "seed \(seed + 1)")
            #expect(
                report.closedClientMemory.isEmptyButForTimeWait && report.closedServerMemory.isEmptyButForTimeWait,
                "seed \(seed + 1)")
            for memory in [report.clientMemory, report.serverMemory] {
                #expect(memory.isEmptyButForTimeWait && memory.timeWaitCount == 0, "seed \(seed + 1)")
            }
            #expect(
                report.clientMemory.total == empty.client && report.serverMemory.total == empty.server,
                "seed \(seed + 1)")
            if !report.isIntact || report.outcome != .idle { return }
        }
    }

    @Test("The faults of the soak strike: packets are lost and spoilt, checksums tell, and data goes again")
    func faultsStrike() {
        let report = soak(seed: 1, ipv6: false)
        #expect(report.lost > 10 && report.badChecksums > 0 && report.retransmitted > 5)
    }

    @Test("When all is over, both stacks hold as many bytes as before the first connection")
    func memory() {
        let report = soak(seed: 7, ipv6: false)
        let empty = SoakTests.emptyHosts()
        #expect(report.clientMemory.total == empty.client && report.serverMemory.total == empty.server)
        #expect(report.closedClientMemory.timeWaitCount + report.closedServerMemory.timeWaitCount >= 1)
    }

    @Test(
        "Bundles of segments that are lost, spoilt, repeated and overtaken whole do no harm", arguments: [false, true])
    func superSegments(offload: Bool) {
        var link = LinkConfiguration(delay: .milliseconds(5))
        link.superSegments = true
        link.checksumOffload = offload
        var transfer = Transfer(
            bytes: soakBytes * 4, link: link,
            faults: LinkFaults(loss: 0.03, duplication: 0.03, reordering: 0.1, corruption: 0.02))
        transfer.replyBytes = soakBytes
        let report = transfer.run()
        #expect(report.isIntact && report.outcome == .idle && report.lost > 0)
    }

    @Test("A connection survives a link that loses one packet in five", arguments: UInt64(1)...8)
    func heavyLoss(seed: UInt64) {
        var transfer = Transfer(
            bytes: soakBytes / 4, link: LinkConfiguration(delay: .milliseconds(10)),
            faults: LinkFaults(loss: 0.2), options: SceneOptions(seed: seed))
        transfer.replyBytes = soakBytes / 4
        let report = transfer.run()
        #expect(report.isIntact && report.outcome == .idle)
    }

    @Test("The same seed gives the same segments, another seed others")
    func determinism() {
        func lines(_ seed: UInt64) -> [String] {
            var lines: [String] = []
            let transfer = Transfer(
                bytes: 50_000, link: LinkConfiguration(rate: 5e6, delay: .milliseconds(10), queue: 20_000),
                faults: LinkFaults(loss: 0.03, duplication: 0.03, reordering: 0.1, corruption: 0.02),
                options: SceneOptions(seed: seed))
            _ = transfer.run { event, segment in
                if let segment { lines.append(JSONLines.segment(segment, since: .zero)) }
            }
            return lines
        }
        let first = lines(3)
        #expect(first.count > 50 && first == lines(3))
        #expect(first != lines(4))
    }
}

@Suite("Numbers that wrap")
struct WrapTests {
    #if DEBUG
        private static let bytes = 3 << 20
    #else
        private static let bytes = 4 << 30 + 12_345_678
    #endif

    @Test(
        "More octets than sequence numbers pass each way, from ISNs just below 2^31 and 2^32 [B-15]",
        arguments: [UInt32(1) << 31 - 1000, UInt32.max - 1000])
    func sequenceNumbers(initial: UInt32) {
        var link = LinkConfiguration(delay: .microseconds(50))
        link.superSegments = true
        link.checksumOffload = true
        var transfer = Transfer(bytes: WrapTests.bytes, link: link)
        transfer.replyBytes = WrapTests.bytes
        transfer.configuration.fixedInitialSequence = SequenceNumber(initial)
        let report = transfer.run()
        #expect(report.isIntact && report.outcome == .idle)
        #expect(report.clientMemory.isEmptyButForTimeWait && report.serverMemory.isEmptyButForTimeWait)
    }

    /// Clocks pass 2³¹ and 2³² milliseconds in the midst of a lossy transfer, of TIME-WAIT, and of both.
    @Test(
        "Clocks that pass 2^31 and 2^32 milliseconds stop nothing [B-24, B-15]",
        arguments: [Int64(1) << 31, Int64(1) << 32], [Int64(5), 300, 2000, 30_000])
    func clocks(milliseconds: Int64, before: Int64) {
        let start = Instant(nanoseconds: (milliseconds - before) * 1_000_000)
        var transfer = Transfer(
            bytes: 200_000, link: LinkConfiguration(rate: 2e6, delay: .milliseconds(20), queue: 30_000),
            faults: LinkFaults(loss: 0.03, reordering: 0.05), options: SceneOptions(seed: UInt64(before)))
        transfer.replyBytes = 200_000
        transfer.start = start
        let report = transfer.run()
        #expect(report.isIntact && report.outcome == .idle)
        #expect(report.clientMemory.timeWaitCount == 0 && report.serverMemory.timeWaitCount == 0)
        var reference = transfer
        reference.start = .zero
        // The same seed loses the same packets whatever the clock says; a stall would show in the time.
        #expect(report.seconds < 4 * reference.run().seconds + 5)
    }
}
