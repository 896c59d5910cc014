import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 4821 §7.3–7.6: probes made of real data find the largest segment the path carries. The connections here start at the
/// base size, and their first segment is a probe of the largest.
@Suite("Path probes")
struct PathProbeTests {
    private func opened(
        _ family: Family, offer: ScriptedPeer.Offer = .sack, _ change: (inout Configuration) -> Void = { _ in }
    ) -> ScriptedPeer {
        var configuration = Configuration()
        configuration.pathProbing = .always
        change(&configuration)
        let peer = ScriptedPeer(family, configuration, offer: offer)
        peer.establish()
        return peer
    }

    /// A connection that has sent a probe at 1, and behind it as many segments of the base size as the window takes. Says
    /// where they end.
    private func probed(
        _ family: Family, offer: ScriptedPeer.Offer = .sack, _ change: (inout Configuration) -> Void = { _ in }
    ) -> (peer: ScriptedPeer, end: Int) {
        let peer = opened(family, offer: offer, change)
        peer.write(40_000)
        peer.expect(.ack, seq: 1, length: family.topSize)
        let end = peer.received
        peer.discard()
        return (peer, end)
    }

    /// The peer reports the segments behind the probe, one by one.
    private func loseProbe(_ peer: ScriptedPeer, at start: Int = 1, of octets: Int? = nil) {
        let octets = octets ?? peer.family.topSize
        for count in 1...3 {
            if peer.offer.sack {
                peer.sendSACK(ack: start, [start + octets..<start + octets + count * peer.family.baseSize])
            } else {
                peer.send(ack: start)
            }
        }
    }

    @Test("One probe goes out, and segments of the present size behind it [6691-7, 6691-9]", arguments: Family.allCases)
    func first(family: Family) {
        let peer = opened(family)
        let (base, top) = (family.baseSize, family.topSize)
        peer.write(40_000)
        peer.expect(.ack, seq: 1, length: top)
        // The initial window is ten segments of the base size.
        var next = 1 + top
        while next + base <= 1 + 10 * base {
            peer.expect(.ack, seq: next, length: base)
            next += base
        }
        peer.expectNothing()
        #expect(peer.host.stack.counters.pathProbesSent == 1)
    }

    @Test("When it is acknowledged, segments have its size [6691-7]", arguments: Family.allCases)
    func arrives(family: Family) {
        let (peer, end) = probed(family)
        peer.send(ack: end)
        var next = end
        for _ in 0..<5 {
            peer.expect(.ack, seq: next, length: family.topSize)
            next += family.topSize
        }
        #expect(peer.host.stack.counters.pathProbesSent == 1)
        #expect(peer.host.stack.counters.pathProbesLost == 0)
    }

    @Test("When the peer reports to hold it, behind a gap, too [6691-7]")
    func held() {
        let peer = opened(.ipv4) { $0.pathProbing = .blackHoles }
        fall(peer)
        // The segment before the probe is lost, the probe is not.
        let start = peer.received
        peer.write(1000)
        peer.write(20_000)
        peer.discard()
        let probe = peer.history.last { $0.length == 1460 }
        guard let probe else { return peer.fail("there was no probe", #_sourceLocation) }
        let from = peer.relative(probe)
        #expect(from > start)
        peer.sendSACK(ack: start, [from..<from + 1460])
        #expect(peer.segmentSize == 1460)
    }

    /// Takes a connection into a black hole of all above the base, and acknowledges until the window is large.
    private func fall(_ peer: ScriptedPeer) {
        peer.write(peer.mss)
        peer.discard()
        // With SACK a tail loss probe comes first (RFC 8985 §7.3).
        peer.host.advance(by: .milliseconds(peer.offer.sack ? 900 : 700))
        #expect(peer.host.stack.counters.blackHoles == 1)
        peer.send(ack: 1 + peer.mss)
        peer.discard()
        // Two at a time, so that there is never enough for a probe.
        for _ in 0..<20 {
            for _ in 0..<2 { peer.write(peer.family.baseSize) }
            peer.send(ack: peer.received)
            peer.discard()
        }
        #expect(peer.host.stack.counters.pathProbesSent == 0)
    }

    @Test(
        "Lost alone it goes again at once in smaller segments, and the window stays [6691-7, RFC 4821 §7.6.2]",
        arguments: Family.allCases, [true, false])
    func lostAlone(family: Family, sack: Bool) {
        let (peer, end) = probed(family, offer: sack ? .sack : .plain)
        let (base, top) = (family.baseSize, family.topSize)
        let window = peer.status?.congestionWindow
        loseProbe(peer)
        let again = peer.pending.filter { peer.relative($0) < 1 + top }
        #expect(again.map(peer.relative) == [1, 1 + base])
        #expect(again.map(\.length) == [base, top - base])
        peer.discard()
        #expect(peer.status?.congestionWindow == window)
        #expect(peer.status?.slowStartThreshold ?? 0 > 1 << 30)
        #expect(peer.host.stack.counters.pathProbesLost == 1)
        // All is acknowledged, and things go on as if nothing had been.
        peer.send(ack: max(end, peer.received))
        #expect(!peer.pending.isEmpty && peer.pending.allSatisfy { $0.length == base })
        #expect(peer.status?.congestionWindow ?? 0 >= window ?? .max)
    }

    @Test("After one was lost none goes for as many round trips as the window has segments [6691-9]")
    func rateLimit() {
        let (peer, _) = probed(.ipv4)
        loseProbe(peer)
        peer.discard()
        // Ten segments, and 10 ms a round trip.
        let from = peer.history.count
        for _ in 0..<9 {
            peer.host.advance(by: .milliseconds(10))
            peer.send(ack: peer.received)
            peer.discard()
            peer.write(6000)
        }
        #expect(peer.history[from...].allSatisfy { $0.length <= 1024 })
        peer.host.advance(by: .milliseconds(20))
        peer.write(6000)
        peer.send(ack: peer.received)
        #expect(peer.history[from...].contains { $0.length == 1133 })
    }

    /// Writes what a probe needs, again and again, until one is out, and says where it starts and how large it is.
    private func nextProbe(_ peer: ScriptedPeer, for limit: Duration = .seconds(10)) -> (start: Int, octets: Int)? {
        let sent = peer.host.stack.counters.pathProbesSent
        let end = peer.host.now + limit
        while peer.host.now < end {
            let from = peer.history.count
            peer.send(ack: peer.received)
            peer.write(4 * peer.segmentSize + peer.family.topSize)
            peer.discard()
            if peer.host.stack.counters.pathProbesSent > sent {
                let probe = peer.history[from...].max { $0.length < $1.length }
                return probe.map { (peer.relative($0), $0.length) }
            }
            peer.host.advance(by: .milliseconds(100))
        }
        acknowledgeAll(peer)
        return nil
    }

    /// Acknowledges until nothing more comes.
    private func acknowledgeAll(_ peer: ScriptedPeer) {
        repeat {
            peer.discard()
            peer.send(ack: peer.received)
        } while !peer.pending.isEmpty
    }

    @Test("A size is given up when three probes of it were lost, then a smaller one is tried [6691-9, RFC 8899 §5.1.2]")
    func threeProbes() throws {
        let (peer, _) = probed(.ipv4)
        loseProbe(peer)
        // The largest was tried first. From here it is a quarter of the way, from 1024 to 1460.
        for _ in 0..<3 {
            let probe = try #require(nextProbe(peer))
            #expect(probe.octets == 1133)
            loseProbe(peer, at: probe.start, of: probe.octets)
        }
        // To 1132.
        for expected in [1051, 1071, 1086] {
            let probe = try #require(nextProbe(peer))
            #expect(probe.octets == expected)
            peer.send(ack: peer.received)
            #expect(peer.segmentSize == expected)
        }
        #expect(peer.host.stack.counters.pathProbesLost == 4)
    }

    @Test("Where smaller ones arrive the largest is tried again, three times, before the search ends [6691-9]")
    func topAgain() throws {
        let (peer, _) = probed(.ipv4)
        loseProbe(peer)
        for expected in [1133, 1214, 1275, 1321, 1355, 1381, 1400] {
            let probe = try #require(nextProbe(peer))
            #expect(probe.octets == expected)
        }
        for _ in 0..<3 {
            let probe = try #require(nextProbe(peer))
            #expect(probe.octets == 1460)
            loseProbe(peer, at: probe.start, of: probe.octets)
        }
        // It is ruled out now.
        #expect(try #require(nextProbe(peer)).octets == 1414)
    }

    @Test(
        "Lost with others it tells nothing: the window falls, and the same size is tried again [6691-7, RFC 4821 §7.6.4]",
        arguments: Family.allCases)
    func inconclusive(family: Family) {
        let (peer, end) = probed(family)
        let (base, top) = (family.baseSize, family.topSize)
        let window = peer.status?.congestionWindow ?? 0
        peer.host.advance(by: .milliseconds(10))
        peer.sendSACK(ack: 1, [1 + top..<1 + top + base])
        peer.sendSACK(ack: 1, [1 + top + 2 * base..<1 + top + 3 * base, 1 + top..<1 + top + base])
        peer.sendSACK(ack: 1, [1 + top + 2 * base..<1 + top + 5 * base, 1 + top..<1 + top + base])
        #expect(peer.status?.congestionWindow ?? 0 < window)
        peer.discard()
        #expect(peer.host.stack.counters.pathProbesLost == 0)
        #expect(peer.segmentSize == base)
        // As soon as the loss is repaired.
        peer.send(ack: max(end, peer.received))
        #expect(peer.pending.contains { $0.length == top })
        #expect(peer.host.stack.counters.pathProbesSent == 2)
    }

    @Test(
        "The timeout of a probe is a timeout, but no black hole [6691-7, RFC 4821 §7.6.3]", arguments: Family.allCases)
    func timeout(family: Family) {
        let (peer, _) = probed(family, offer: .plain)
        let base = family.baseSize
        peer.expect(.ack, seq: 1, length: base, after: .milliseconds(200))
        #expect(peer.status?.congestionWindow == base)
        #expect(peer.host.stack.counters.pathProbesLost == 1)
        // Timeouts of the base size count from here.
        peer.expect(.ack, seq: 1, length: base, after: .milliseconds(400))
        #expect(peer.host.stack.counters.blackHoles == 0)
    }

    @Test(
        "A report about the probe changes no segment, and names the size to probe next [6691-7, RFC 4821 §7.6.2]",
        arguments: Family.allCases)
    func reported(family: Family) throws {
        let (peer, end) = probed(family)
        peer.reportTooBig(mtu: 1400, about: 1)
        // Less than what arrives is no truth.
        peer.reportTooBig(mtu: 1000, about: 1)
        peer.expectNothing()
        #expect(peer.segmentSize == family.baseSize)
        loseProbe(peer)
        peer.discard()
        peer.send(ack: max(end, peer.received))
        let probe = try #require(nextProbe(peer))
        #expect(probe.octets == 1400 - family.fixedHeaders)
        peer.send(ack: peer.received)
        // That was it: nothing larger is tried.
        #expect(nextProbe(peer, for: .seconds(10)) == nil)
        #expect(peer.segmentSize == 1400 - family.fixedHeaders)
    }

    @Test(
        "A forged report during a probe is worth nothing when the probe arrives [6691-5, 6691-7]",
        arguments: Family.allCases)
    func forged(family: Family) {
        let (peer, end) = probed(family)
        for mtu in [296, 552, 1280, 1300, 1499, 1500, 9000] as [UInt32] { peer.reportTooBig(mtu: mtu, about: 1) }
        peer.expectNothing()
        peer.send(ack: end)
        peer.expect(.ack, seq: end, length: family.topSize)
        #expect(peer.segmentSize == family.topSize)
    }

    @Test("When it arrives, sizes that a report ruled out are probed all the same [6691-5, 6691-7]")
    func disproved() {
        let peer = opened(.ipv4, offer: ScriptedPeer.Offer(mss: 8960, windowScale: 7, sack: true)) { $0.mtu = 9000 }
        peer.write(60_000)
        #expect(peer.pending.first?.length == 1460)
        peer.discard()
        peer.reportTooBig(mtu: 1340, about: 1)
        peer.send(ack: peer.received)
        #expect(peer.pending.map(\.length).max() == 2920)
    }

    @Test("A report about another segment than the probe counts as ever, and the probe for nothing [6691-3, 6691-7]")
    func reportedOther() {
        let (peer, _) = probed(.ipv4)
        peer.reportTooBig(mtu: 640, about: 1461)
        #expect(peer.pending.first.map { (peer.relative($0), $0.length) } ?? (0, 0) == (1, 600))
        peer.discard()
        peer.send(ack: 1461)
        #expect(peer.segmentSize == 600)
    }

    @Test("There is no probe with less data, window or congestion window than shows its loss [6691-9, RFC 4821 §7.4]")
    func preconditions() {
        // A probe of 1460 and three segments of 1024.
        let train = 1460 + 3 * 1024
        for (data, window, isProbed) in [
            (train, train, true), (train - 1, 65_535, false), (20_000, train - 1, false), (20_000, train, true),
        ] {
            let peer = opened(.ipv4)
            peer.send(.ack, window: UInt16(window))
            peer.write(data)
            #expect((peer.host.stack.counters.pathProbesSent == 1) == isProbed, "\(data) octets, a window of \(window)")
        }
        for (segments, isProbed) in [(4, false), (5, true)] {
            let peer = opened(.ipv4) { $0.initialSegments = segments }
            peer.write(20_000)
            #expect((peer.host.stack.counters.pathProbesSent == 1) == isProbed, "\(segments) segments")
        }
    }

    @Test("Where the congestion window lacks room for a probe, the next segments wait until it has [6691-9]")
    func waits() {
        let peer = opened(.ipv4) { $0.initialSegments = 5 }
        // Four segments of five: there is room for another, but none for a probe.
        for _ in 0..<4 { peer.write(1024) }
        #expect(peer.discard() == 4)
        peer.write(20_000)
        peer.expectNothing()
        peer.send(ack: 1025)
        peer.expect(.ack, seq: 4097, length: 1460)
        peer.expect(.ack, seq: 5557, length: 1024)
        let (full, _) = probed(.ipv4) { $0.initialSegments = 5 }
        #expect(full.received <= 1 + 5 * 1024)
        loseProbe(full)
        full.discard()
        full.host.advance(by: .milliseconds(100))
        full.send(ack: full.received)
        // The window has just opened: the probe goes first.
        #expect(full.pending.first?.length == 1133)
    }

    @Test(
        "After a search the size stays for ten minutes, then the whole range is open again [6691-6, RFC 4821 §7.3]",
        arguments: [600, 900])
    func again(seconds: Int) throws {
        let (peer, _) = probed(.ipv4) { $0.pathRaiseInterval = .seconds(seconds) }
        peer.reportTooBig(mtu: 1070, about: 1)
        loseProbe(peer)
        peer.discard()
        acknowledgeAll(peer)
        // Six octets are worth no probe.
        peer.host.advance(by: .seconds(seconds - 11))
        #expect(nextProbe(peer, for: .seconds(10)) == nil)
        peer.host.advance(by: .seconds(2))
        let probe = try #require(nextProbe(peer))
        #expect(probe.octets == 1460)
    }

    @Test("On a link of large packets 1500 octets are probed first, then at most twice as many [6691-9]")
    func jumbo() throws {
        let peer = opened(.ipv4, offer: ScriptedPeer.Offer(mss: 8960, windowScale: 7, sack: true)) { $0.mtu = 9000 }
        peer.write(60_000)
        #expect(peer.pending.first?.length == 1460)
        peer.discard()
        peer.send(ack: peer.received)
        #expect(peer.pending.map(\.length).max() == 2920)
        for expected in [5840, 8960] {
            let probe = try #require(nextProbe(peer))
            #expect(probe.octets == expected)
        }
        peer.send(ack: peer.received)
        #expect(peer.segmentSize == 8960)
        #expect(nextProbe(peer, for: .seconds(1)) == nil)
    }

    @Test("No probe is larger than the peer takes; below the base there is nothing to find [6691-1, 6691-9]")
    func clamped() {
        let some = opened(.ipv4, offer: ScriptedPeer.Offer(mss: 1100))
        some.write(20_000)
        #expect(some.pending.first?.length == 1100)
        for mss in [536, 1024, 1030] as [UInt16] {
            let none = opened(.ipv4, offer: ScriptedPeer.Offer(mss: mss))
            none.write(20_000)
            #expect(none.pending.first?.length == min(Int(mss), 1024))
            #expect(none.host.stack.counters.pathProbesSent == 0)
        }
    }

    @Test("TCP options are part of a probe's size [6691-1, 6691-9]")
    func timestamps() {
        let peer = opened(.ipv4, offer: .full)
        peer.write(20_000)
        peer.expect(.ack, seq: 1, length: 1448)
        peer.expect(.ack, seq: 1449, length: 1012)
        peer.send(ack: peer.received)
        #expect(peer.segmentSize == 1448)
    }

    @Test("A probe is a packet of its own on a link that cuts super-segments [6691-9]")
    func superSegments() {
        let peer = opened(.ipv4) { $0.superSegments = true }
        peer.write(60_000)
        peer.expect(.ack, seq: 1, length: 1460)
        peer.expect(.ack, seq: 1461, length: 8 * 1024)
        peer.send(ack: peer.received)
        #expect(peer.pending.first.map { $0.length % 1460 } == 0)
    }

    @Test("None goes while something is lost, or while SACK blocks take its room [6691-9, RFC 4821 §7.4]")
    func notNow() {
        let peer = opened(.ipv4)
        peer.send(seq: 101, length: 100)
        peer.discard()
        peer.write(20_000)
        #expect(peer.host.stack.counters.pathProbesSent == 0)
        let lossy = opened(.ipv4) { $0.pathProbing = .blackHoles }
        fall(lossy)
        lossy.write(1000)
        lossy.discard()
        let start = lossy.received - 1000
        lossy.send(ack: start)
        lossy.write(20_000)
        #expect(lossy.host.stack.counters.pathProbesSent == 0)
    }
}
