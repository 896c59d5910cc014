import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Dynamic right-sizing (Fisk and Feng, 2001): the window follows what the program reads in a round trip.
@Suite("Windows that follow the need")
struct RightSizingTests {
    static let trip = Duration.milliseconds(50)
    static let start = 64 << 10

    private func peer(
        _ family: Family, timestamps: Bool = true, rtt: Duration = trip, number: Int = 2, host: VirtualHost? = nil,
        _ change: (inout Configuration) -> Void = { _ in }
    ) -> ScriptedPeer {
        var configuration = Configuration()
        change(&configuration)
        let offer = timestamps ? ScriptedPeer.Offer.full : ScriptedPeer.Offer(windowScale: 7, sack: true)
        let peer = ScriptedPeer(
            family, configuration, host: host, number: number, stackPort: UInt16(80 + number), offer: offer,
            fitted: true)
        peer.establish(rtt: rtt)
        return peer
    }

    @Test("A window begins with 64 KiB, and the scale can tell what a connection that is alone may come to")
    func beginning() {
        let peer = peer(.ipv4)
        #expect(peer.limit == RightSizingTests.start && peer.stackShift == 8)
        #expect(peer.history.first?.tcp.window == 65535)
        // 256 MiB: 64 MiB, which a shift of ten tells. Little memory: no more than half of what windows may fill.
        #expect(self.peer(.ipv4) { $0.memoryBudget = 256 << 20 }.stackShift == 10)
        #expect(self.peer(.ipv4) { $0.memoryBudget = 1 << 20 }.stackShift == 2)
    }

    @Test(
        "Each round trip's reading opens it: four times that while it grows, twice when it does not",
        arguments: Family.allCases)
    func growth(family: Family) {
        let peer = peer(family)
        let segments = 2 * (1500 - family.fixedHeaders)
        peer.round(20_000)
        #expect(peer.limit == RightSizingTests.start, "a round trip is not over")
        peer.round(40_000)
        #expect(peer.limit == 4 * 20_000 + segments)
        peer.round(80_000)
        #expect(peer.limit == 4 * 40_000 + segments)
        peer.round(90_000)
        #expect(peer.limit == 4 * 80_000 + segments)
        // An eighth more is no growth, and less takes nothing away.
        for _ in 0..<3 { peer.round(80_000) }
        #expect(peer.limit == 4 * 80_000 + segments)
        #expect(peer.host.stack.audit() == nil)
    }

    @Test("A steady rate is given twice what it brings in a round trip")
    func steady() {
        let peer = peer(.ipv4) { $0.initialReceiveBuffer = 8192 }
        peer.round(2000)
        peer.round(2400)
        for size in [2900, 3500, 4200, 5000] { peer.round(size) }
        // Four times 2000 at first; then a fifth more each round trip, of which twice is less until 4200.
        #expect(peer.limit == 2 * 4200 + 2 * 1460)
        peer.round(6000)
        peer.round(6000)
        #expect(peer.limit == 2 * 6000 + 2 * 1460)
    }

    @Test("A program that does not read keeps the first window, whatever comes", arguments: Family.allCases)
    func unread(family: Family) {
        let peer = peer(family)
        for _ in 0..<4 { peer.round(16_000, reads: false) }
        #expect(peer.limit == RightSizingTests.start && peer.rightEdge <= RightSizingTests.start + 1 + 256)
        #expect(peer.host.stack.audit() == nil)
    }

    @Test("Several readings in one round trip count once, when it is over")
    func readsWithinRound() {
        let peer = peer(.ipv4)
        let echo = peer.lastTimestamp
        for _ in 0..<5 { peer.round(10_000, lasting: .milliseconds(10), echo: echo) }
        #expect(peer.limit == RightSizingTests.start)
        peer.round(1000, lasting: .milliseconds(10), echo: echo)
        #expect(peer.limit == 4 * 50_000 + 2920)
    }

    @Test("It leaves as much free as it takes below the mark where windows stop to grow", arguments: Family.allCases)
    func share(family: Family) {
        let peer = peer(family) { $0.memoryBudget = 1 << 20 }
        for size in [20_000, 40_000, 80_000, 100_000, 100_000] { peer.round(size) }
        #expect(peer.limit <= 256 << 10 && peer.limit > 220 << 10, "\(peer.limit)")
        #expect(peer.host.stack.audit() == nil)
    }

    @Test("What one program leaves unread makes the windows of others smaller, not the first window")
    func competition() {
        let first = peer(.ipv4) { $0.memoryBudget = 1 << 20 }
        for size in [20_000, 40_000, 60_000, 60_000] { first.round(size) }
        for _ in 0..<4 { first.round(50_000, reads: false) }
        let second = peer(.ipv4, number: 3, host: first.host)
        for size in [20_000, 40_000, 80_000, 80_000] { second.round(size) }
        #expect(second.limit > RightSizingTests.start && second.limit < 160 << 10, "\(second.limit)")
        #expect(first.host.stack.audit() == nil)
    }

    @Test(
        "In a pause of a second it falls back by half, in a long one to the beginning; the right edge stays [SHLD-14]",
        arguments: Family.allCases)
    func pause(family: Family) {
        let peer = peer(family)
        for size in [20_000, 40_000, 60_000, 60_000] { peer.round(size) }
        let grown = peer.limit
        #expect(grown > 200_000)
        let edge = peer.rightEdge
        peer.host.advance(by: .milliseconds(1100))
        peer.round(1000)
        #expect(peer.limit == grown / 2 && peer.rightEdge >= edge)
        peer.host.advance(by: .seconds(20))
        peer.round(1000)
        peer.round(1000)
        #expect(peer.limit == RightSizingTests.start && peer.rightEdge >= edge)
        // What was promised is taken still.
        while peer.next + 1400 < edge { peer.send(length: 1400) }
        peer.host.advance(by: .milliseconds(100))
        #expect(peer.history.last.map(peer.relativeAcknowledgment) == peer.next)
    }

    @Test("A size the program named is kept, and so is one that begins with the most")
    func fixed() {
        let peer = ScriptedPeer(.ipv4, offer: .full, fitted: true)
        var options = ConnectionOptions()
        options.receiveBuffer = 100_000
        peer.establish(options: options, rtt: RightSizingTests.trip)
        for size in [20_000, 40_000, 60_000] { peer.round(size) }
        #expect(peer.limit == 100_000)
        let other = self.peer(.ipv4) { $0.receiveBuffer = RightSizingTests.start }
        for size in [20_000, 40_000, 60_000] { other.round(size) }
        #expect(other.limit == RightSizingTests.start && other.stackShift == 1)
    }

    @Test("Without scaling it stays at what the field can tell [RFC 7323 §2.2]")
    func unscaled() {
        let peer = ScriptedPeer(.ipv4, offer: .timestamps, fitted: true)
        peer.establish(rtt: RightSizingTests.trip)
        for size in [20_000, 40_000, 60_000, 60_000] { peer.round(size) }
        #expect(peer.limit <= 65536)
    }

    @Test(
        "Timestamps tell a round trip that became longer, twice as long at a time, and one that became shorter at once")
    func roundTripByTimestamps() {
        let peer = peer(.ipv4)
        for _ in 0..<3 { peer.round(2800) }
        #expect(peer.roundTrip == 50_000)
        // The next round tells the first long one.
        peer.round(2800, lasting: .milliseconds(150))
        peer.round(2800, lasting: .milliseconds(150))
        #expect(peer.roundTrip == 100_000)
        peer.round(2800, lasting: .milliseconds(20))
        #expect(peer.roundTrip == 150_000)
        for _ in 0..<8 { peer.round(2800, lasting: .milliseconds(20)) }
        #expect(peer.roundTrip == 20_000)
    }

    @Test("Without timestamps a window's worth tells it, up to four times what the handshake took")
    func roundTripByWindow() {
        let peer = peer(.ipv4, timestamps: false, rtt: .milliseconds(10)) { $0.initialReceiveBuffer = 8 << 10 }
        peer.round(1000)
        #expect(abs(peer.roundTrip - 10_000) < 200)
        // A window in 30 ms.
        for _ in 0..<9 { peer.round(3000, lasting: .milliseconds(10)) }
        let longer = peer.roundTrip
        #expect(longer > 10_000 && longer <= 40_000, "\(longer)")
        // A peer that sends little is no long path.
        for _ in 0..<40 { peer.round(700, lasting: .milliseconds(30)) }
        #expect(peer.roundTrip <= 40_000)
    }

    @Test(
        "With a large scale the window is told in steps worth a segment, each in one acknowledgment [MUST-39, 7323-14]",
        arguments: [UInt8(11), 14])
    func coarse(scale: UInt8) {
        let peer = peer(.ipv4) {
            $0.windowScale = scale
            $0.receiveBuffer = RightSizingTests.start
        }
        while peer.next + 1024 <= RightSizingTests.start { peer.send(length: min(1024, peer.rightEdge - peer.next)) }
        if peer.next < peer.rightEdge { peer.send(length: peer.rightEdge - peer.next) }
        peer.host.advance(by: .milliseconds(500))
        #expect(peer.history.last?.tcp.window == 0)
        peer.discard()
        var edge = peer.rightEdge
        var told = 0
        for _ in 0..<128 {
            peer.expectRead(512, limit: 512)
            for segment in peer.pending {
                let now = peer.relativeAcknowledgment(segment) + Int(segment.tcp.window) << peer.stackShift
                #expect(now - edge >= 1 << Int(scale), "an acknowledgment that tells nothing")
                edge = now
                told += 1
            }
            peer.pending.removeAll()
        }
        #expect(told > 0 && told <= RightSizingTests.start >> Int(scale))
        #expect(peer.host.stack.audit() == nil)
    }
}

extension ScriptedPeer {
    /// The octets the stack keeps for reading, and the round trip it sees, in microseconds.
    var limit: Int { connection.flatMap { host.stack.details(of: $0)?.receiveLimit } ?? 0 }
    var roundTrip: Int { connection.flatMap { host.stack.details(of: $0)?.receiverRoundTrip } ?? 0 }

    /// `octets` arrive at once, in answer to what the stack last sent; the program reads them, and time passes.
    func round(_ octets: Int, reads: Bool = true, lasting: Duration = RightSizingTests.trip, echo: UInt32? = nil) {
        let echo = echo ?? lastTimestamp
        let options: [WireOption]? = usesTimestamps ? [.nop, .nop, .timestamps(timestamp, echo: echo)] : nil
        var left = octets
        while left > 0 {
            send(length: min(left, 1400), options: options)
            left -= min(left, 1400)
        }
        if reads { expectRead(next - 1 - consumed) }
        host.advance(by: lasting)
        discard()
    }
}
