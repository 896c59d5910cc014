import TCPEngine
import TCPStack
import TCPWire
import Testing

/// A sender of segments of 1000 octets over a path of 100 ms, which a test hears and answers by the numbers of segments,
/// counted from 0.
extension ScriptedPeer {
    static let size = 1000
    static let roundTrip: Duration = .milliseconds(100)

    /// Whose handshake measured 100 ms: SRTT 100 ms, RTTVAR 50 ms, an RTO of 300 ms.
    static func sender(
        _ family: Family, sack: Bool = true, timestamps: Bool = false, control: CongestionControl = .newReno,
        roundTrip: Duration = roundTrip, _ change: (inout Configuration) -> Void = { _ in }
    ) -> ScriptedPeer {
        var configuration = Configuration.steadySegments
        change(&configuration)
        let peer = ScriptedPeer(
            family, configuration,
            offer: Offer(mss: timestamps ? 1012 : 1000, windowScale: 7, sack: sack, timestamps: timestamps),
            control: control)
        peer.establish(rtt: roundTrip)
        return peer
    }

    /// Writes `count` segments.
    func writeSegments(_ count: Int) { write(count * Self.size) }

    /// Writes `count` segments, of which the window's share leaves, and lets a round trip pass.
    func fly(_ count: Int) {
        writeSegments(count)
        discard()
        wait(100)
    }

    /// Takes what was sent: segments by their numbers, in order.
    func takeSent() -> [Int] {
        let sent = pending.map { (relative($0) - 1) / Self.size }
        discard()
        return sent
    }

    /// Acknowledges all before segment `number`, and reports those ranges of segments.
    func acknowledge(_ number: Int, _ blocks: Range<Int>...) {
        let ranges = blocks.map { 1 + $0.lowerBound * Self.size..<1 + $0.upperBound * Self.size }
        if ranges.isEmpty {
            send(.ack, ack: 1 + number * Self.size)
        } else {
            sendSACK(ack: 1 + number * Self.size, ranges)
        }
    }

    func wait(_ milliseconds: Int64) { host.advance(by: .milliseconds(milliseconds)) }

    /// Expects just those segments, by now.
    func expectSent(_ wanted: [Int], sourceLocation: SourceLocation = #_sourceLocation) {
        let sent = takeSent()
        if sent != wanted { fail("expected the segments \(wanted)\n     got \(sent)", sourceLocation) }
    }

    /// Expects silence for `wait` milliseconds, and then those segments. The handshake is measured by the ticks of the
    /// timing wheel, so that a millisecond either way is no matter.
    func expectSent(_ wanted: [Int], after wait: Int64, sourceLocation: SourceLocation = #_sourceLocation) {
        expectNothing(for: .milliseconds(wait), slack: .milliseconds(1), sourceLocation: sourceLocation)
        host.advance(to: host.now + .milliseconds(3)) { !pending.isEmpty }
        expectSent(wanted, sourceLocation: sourceLocation)
    }

    /// Writes `count` segments, which arrive, so that a round trip of data is measured.
    func exchange(_ count: Int, from first: Int, sourceLocation: SourceLocation = #_sourceLocation) {
        writeSegments(count)
        expectSent(Array(first..<first + count), sourceLocation: sourceLocation)
        wait(100)
        acknowledge(first + count)
    }

    var details: ConnectionDetails? { connection.flatMap { host.stack.details(of: $0) } }
    var phase: Recovery.Phase? { details?.recovery.phase }
    /// Segments that count as lost and were not sent again.
    var lost: [Int] { segments(details?.recovery.lost ?? []) }
    var sacked: [Int] { segments(details?.recovery.sacked ?? []) }

    private func segments(_ blocks: [SACKBlock]) -> [Int] {
        guard let stackISN else { return [] }
        return blocks.flatMap { block in
            Array(
                (block.start.distance(from: stackISN) - 1) / Self.size..<(block.end.distance(from: stackISN) - 1)
                    / Self.size)
        }
    }

    /// cwnd and ssthresh, in segments, rounded down.
    var windowSegments: Int { (status?.congestionWindow ?? 0) / Self.size }
    var thresholdSegments: Int { (status?.slowStartThreshold ?? 0) / Self.size }
}
