import TCPEngine
import TCPStack
import TCPWire
import Testing

extension Family {
    /// What segments fall to in a black hole, options included: 1024 octets, and over IPv6 what every link carries.
    var baseSize: Int { self == .ipv4 ? 1024 : 1220 }
    /// The largest segment on a link of 1500 octets.
    var topSize: Int { 1500 - fixedHeaders }
}

extension ScriptedPeer {
    /// Octets a full segment has now.
    var segmentSize: Int { connection.flatMap { host.stack.details(of: $0)?.segmentSize } ?? 0 }

    /// A router says that the path takes packets of `mtu` octets.
    func reportTooBig(mtu: UInt32, about sequence: Int) {
        sendICMP(type: family == .ipv4 ? 3 : 2, code: family == .ipv4 ? 4 : 0, quoting: sequence, mtu: mtu)
    }

    /// Expects octets `start..<end` in segments of `size`, now, and no more.
    func expectTrain(_ start: Int, to end: Int, by size: Int, source: SourceLocation = #_sourceLocation) {
        var next = start
        while next < end {
            expect(.ack, seq: next, length: min(size, end - next), sourceLocation: source)
            next += size
        }
        expectNothing(sourceLocation: source)
    }
}

/// RFC 4821 §7.7, RFC 8899 §4.3: a path that drops large packets, and nobody says so.
@Suite("Black holes")
struct BlackHoleTests {
    private func opened(
        _ family: Family, offer: ScriptedPeer.Offer = .plain, _ change: (inout Configuration) -> Void = { _ in }
    ) -> ScriptedPeer {
        var configuration = Configuration()
        change(&configuration)
        let peer = ScriptedPeer(family, configuration, offer: offer)
        peer.establish()
        return peer
    }

    @Test(
        "The second timeout in a row of a large segment sends it again in segments of the base size [6691-7, 6691-8]",
        arguments: Family.allCases)
    func falls(family: Family) {
        let peer = opened(family)
        let base = family.baseSize
        peer.write(10 * peer.mss)
        peer.discard()
        peer.expect(.ack, seq: 1, length: peer.mss, after: .milliseconds(200))
        #expect(peer.host.stack.counters.blackHoles == 0)
        peer.expect(.ack, seq: 1, length: base, after: .milliseconds(400))
        peer.expectNothing()
        #expect(peer.host.stack.counters.blackHoles == 1)
        // The timeout's own answer and no more: one segment, and half of what was in flight, once.
        #expect(peer.status?.congestionWindow == base)
        #expect(peer.status?.slowStartThreshold == 5 * peer.mss)
        peer.send(ack: 1 + base)
        peer.expectTrain(1 + base, to: 1 + 3 * base, by: base)
    }

    @Test("The timer of the smaller segment stays backed off [RFC 6298 §5.5, 6691-8]")
    func backedOff() {
        let peer = opened(.ipv4)
        peer.write(peer.mss)
        peer.discard()
        peer.expect(.ack, seq: 1, length: peer.mss, after: .milliseconds(200))
        peer.expect(.ack, seq: 1, length: 1024, after: .milliseconds(400))
        peer.expect(.ack, seq: 1, length: 1024, after: .milliseconds(800))
    }

    @Test("Timeouts with progress between them are no black hole [6691-8]", arguments: Family.allCases)
    func progress(family: Family) {
        let peer = opened(family)
        let size = peer.mss
        peer.write(4 * size)
        peer.discard()
        for index in 0..<3 {
            peer.expect(.ack, seq: 1 + index * size, length: size, within: .seconds(2))
            peer.discard()
            peer.send(ack: 1 + (index + 1) * size)
            peer.discard()
        }
        #expect(peer.host.stack.counters.blackHoles == 0)
    }

    @Test("Nor are they if the peer reports to hold another as large in between [6691-8]")
    func sacked() {
        let peer = opened(.ipv4, offer: .sack)
        let size = peer.mss
        peer.write(4 * size)
        peer.discard()
        // A tail loss probe first (RFC 8985 §7.3).
        peer.expect([.psh, .ack], seq: 1 + 3 * size, length: size, within: .milliseconds(25))
        peer.expect(.ack, seq: 1, length: size, after: .milliseconds(200))
        peer.sendSACK(ack: 1, [1 + size..<1 + 2 * size])
        peer.expect(.ack, seq: 1, length: size, after: .milliseconds(400))
        // Less than a segment tells nothing.
        peer.sendSACK(ack: 1, [1 + size..<2 * size])
        peer.expect(.ack, seq: 1, length: 1024, within: .milliseconds(800))
    }

    @Test("How many timeouts it takes is configured; none do it with probing off [6691-8]", arguments: [1, 3, 0])
    func patience(count: Int) {
        let peer = opened(.ipv4) {
            if count == 0 { $0.pathProbing = .off } else { $0.blackHoleTimeouts = count }
        }
        peer.write(peer.mss)
        peer.discard()
        for index in 1...(count == 0 ? 5 : count) {
            let size = index == count ? 1024 : 1460
            peer.expect(.ack, seq: 1, length: size, after: .milliseconds(100 << index))
        }
    }

    @Test("Segments no larger than the base are no sign of one [6691-8]", arguments: Family.allCases)
    func small(family: Family) {
        let base = family.baseSize
        let clamped = opened(family, offer: ScriptedPeer.Offer(mss: UInt16(base)))
        clamped.write(3 * base)
        clamped.discard()
        let short = opened(family)
        short.write(base)
        short.discard()
        for peer in [clamped, short] {
            for index in 1...6 { peer.expect(.ack, seq: 1, length: base, after: .milliseconds(100 << index)) }
            #expect(peer.host.stack.counters.blackHoles == 0)
        }
        let long = opened(family)
        long.write(base + 1)
        long.discard()
        long.expect(.ack, seq: 1, length: base + 1, after: .milliseconds(200))
        long.expect(.ack, seq: 1, length: base, after: .milliseconds(400))
    }

    @Test("The base is configured, and is never less than an IPv6 link carries [6691-8]", arguments: Family.allCases)
    func base(family: Family) {
        let peer = opened(family) { $0.baseSegmentSize = 1100 }
        peer.write(peer.mss)
        peer.discard()
        peer.expect(.ack, seq: 1, length: peer.mss, after: .milliseconds(200))
        peer.expect(.ack, seq: 1, length: family == .ipv4 ? 1100 : 1220, after: .milliseconds(400))
    }

    @Test("TCP options are part of the size [6691-1, 6691-8]")
    func timestamps() {
        let peer = opened(.ipv4, offer: .timestamps)
        peer.write(peer.mss)
        peer.discard()
        peer.expect(.ack, seq: 1, length: 1448, after: .milliseconds(200))
        peer.expect(.ack, seq: 1, length: 1012, after: .milliseconds(400))
    }

    @Test("If segments of the base size vanish too, they fall to 512 octets, then may be cut [6691-8, RFC 2923 §2.1]")
    func further() {
        let peer = opened(.ipv4)
        peer.write(peer.mss)
        peer.discard()
        for (size, isWhole) in [(1460, true), (1024, true), (1024, true), (512, true), (512, true), (512, false)] {
            let segment = peer.expect(.ack, seq: 1, length: size, within: .seconds(60))
            #expect((segment?.ip.identification == nil) == isWhole, "\(size) octets")
        }
        #expect(peer.host.stack.counters.blackHoles == 3)
        // That was the last resort.
        for _ in 0..<2 { peer.expect(.ack, seq: 1, length: 512, within: .seconds(60)) }
        #expect(peer.host.stack.counters.blackHoles == 3)
    }

    @Test("Over IPv6 nothing is smaller than what every link carries [6691-4, 6691-8]")
    func floor() {
        let peer = opened(.ipv6)
        peer.write(peer.mss)
        peer.discard()
        peer.expect(.ack, seq: 1, length: 1440, within: .seconds(60))
        for _ in 0..<6 { peer.expect(.ack, seq: 1, length: 1220, within: .seconds(60)) }
        #expect(peer.host.stack.counters.blackHoles == 1)
    }

    @Test("Of a report that waited for a timeout the size is known, and there is no black hole [6691-5, 6691-8]")
    func reported() {
        let peer = opened(.ipv4)
        peer.write(1460)
        peer.send(ack: 1461)
        peer.write(1460)
        peer.discard()
        peer.expect(.ack, seq: 1461, length: 1460, after: .milliseconds(200))
        peer.reportTooBig(mtu: 1340, about: 1461)
        peer.expect(.ack, seq: 1461, length: 1300, after: .milliseconds(400))
        #expect(peer.host.stack.counters.blackHoles == 0)
    }

    @Test("A shut window's probes are no sign of one [6691-8]")
    func shutWindow() {
        let peer = opened(.ipv4)
        peer.write(3 * 1460)
        peer.discard()
        peer.send(ack: 1461, window: 0)
        for _ in 0..<4 { peer.expect(.ack, length: 1, within: .seconds(60)) }
        peer.send(ack: 1461, window: 65_535)
        peer.expect(.ack, seq: 1461, length: 1460, within: .seconds(60))
        #expect(peer.host.stack.counters.blackHoles == 0)
    }

    @Test("With nothing to probe with, segments stay small for ten minutes and longer [6691-7]")
    func noData() {
        let peer = opened(.ipv4)
        peer.write(1460)
        peer.discard()
        peer.host.advance(by: .milliseconds(700))
        peer.discard()
        var end = 1461
        for _ in 0..<3 {
            peer.send(ack: end)
            peer.host.advance(by: .seconds(601))
            peer.write(1460)
            peer.expectTrain(end, to: end + 1460, by: 1024)
            end += 1460
        }
        #expect(peer.host.stack.counters.pathProbesSent == 0)
    }
}
