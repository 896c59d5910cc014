import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 1191, RFC 8201: what "fragmentation needed" and "packet too big" do to a connection.
@Suite("Path MTU")
struct PathMTUTests {
    /// A connection that has sent so many octets, in segments of 1440 or 1460, and the size of its segments.
    private func flight(_ family: Family, _ count: Int, offer: ScriptedPeer.Offer = ScriptedPeer.Offer(mss: 1460))
        -> (peer: ScriptedPeer, size: Int)
    {
        let peer = ScriptedPeer(family, offer: offer)
        peer.establish()
        peer.write(count)
        peer.discard()
        return (peer, peer.mss)
    }

    private func report(_ peer: ScriptedPeer, mtu: UInt32, about sequence: Int) {
        let isIPv4 = peer.family == .ipv4
        peer.sendICMP(type: isIPv4 ? 3 : 2, code: isIPv4 ? 4 : 0, quoting: sequence, mtu: mtu)
    }

    /// Expects octets `start..<end` in segments of `size`, now.
    private func expect(
        _ peer: ScriptedPeer, _ start: Int, to end: Int, by size: Int, source: SourceLocation = #_sourceLocation
    ) {
        var next = start
        while next < end {
            peer.expect(.ack, seq: next, length: min(size, end - next), sourceLocation: source)
            next += size
        }
        peer.expectNothing(sourceLocation: source)
    }

    @Test(
        "What was too big goes again at once in smaller segments, as many as before and no more [6691-3]",
        arguments: Family.allCases)
    func atOnce(family: Family) {
        let (peer, _) = flight(family, 14_400)
        report(peer, mtu: 1300, about: 1)
        let size = 1300 - family.fixedHeaders
        expect(peer, 1, to: 1 + 10 * size, by: size)
        // No congestion: slow start goes on where it was.
        peer.send(ack: 1 + 10 * size)
        expect(peer, 1 + 10 * size, to: 14_401, by: size)
        peer.send(ack: 14_401)
        peer.write(2 * size)
        expect(peer, 14_401, to: 14_401 + 2 * size, by: size)
    }

    @Test("Duplicates of what goes again start no fast retransmit [6691-3, RFC 6582 §3.2]")
    func duplicates() {
        let (peer, size) = flight(.ipv4, 8 * 1460)
        report(peer, mtu: 1300, about: 1 + size)
        peer.discard()
        // The first segment had been small enough, and each of the old ones that arrive brings a duplicate.
        for _ in 0..<5 { peer.send(ack: 1) }
        let end = 1 + 8 * size
        peer.send(ack: end)
        peer.write(10 * 1260)
        expect(peer, end, to: end + 10 * 1260, by: 1260)
        // So does each that arrives twice.
        for _ in 0..<5 { peer.send(ack: end) }
        peer.expectNothing()
    }

    @Test("Only a report about what is in flight counts [6691-5]", arguments: Family.allCases)
    func inFlightOnly(family: Family) {
        let (peer, _) = flight(family, 100)
        let size = peer.mss
        peer.send(ack: 101)
        peer.write(size)
        peer.discard()
        for sequence in [-1, 1, 100, 101 + size] { report(peer, mtu: 1300, about: sequence) }
        peer.expectNothing()
        report(peer, mtu: 1300, about: 100 + size)
        expect(peer, 101, to: 101 + size, by: 1300 - family.fixedHeaders)
    }

    @Test("A report below a size that has arrived waits for a timeout [6691-5]", arguments: Family.allCases)
    func waits(family: Family) {
        let (peer, size) = flight(family, 1440)
        peer.send(ack: 1441)
        peer.write(size)
        peer.send(ack: 1441 + size)
        peer.write(2 * size)
        peer.discard()
        report(peer, mtu: 1300, about: 1441 + size)
        peer.expectNothing()
        let narrow = 1300 - family.fixedHeaders
        peer.expect(.ack, seq: 1441 + size, length: narrow, within: .seconds(1))
        peer.send(ack: 1441 + size + narrow)
        expect(peer, 1441 + size + narrow, to: 1441 + 3 * size, by: narrow)
    }

    @Test("A report about octets that arrive all the same is forgotten, timeout or not [6691-5]")
    func forgotten() {
        let (peer, size) = flight(.ipv4, 1460)
        peer.send(ack: 1461)
        peer.write(size)
        report(peer, mtu: 1300, about: 1461)
        peer.send(ack: 1461 + size)
        peer.discard()
        peer.write(size)
        peer.expect(.ack, seq: 1461 + size, length: size)
        peer.expect(.ack, seq: 1461 + size, length: size, within: .seconds(1))
    }

    @Test("Small segments that arrive prove nothing about large ones [6691-5]")
    func smallProvesNothing() {
        let (peer, size) = flight(.ipv4, 100)
        peer.write(size)
        peer.discard()
        peer.send(ack: 101)
        report(peer, mtu: 1300, about: 101)
        expect(peer, 101, to: 101 + size, by: 1260)
    }

    @Test(
        "Reports of what is in use, of more, or of less than a path may have change nothing [6691-4]",
        arguments: Family.allCases)
    func noNews(family: Family) {
        let (peer, size) = flight(family, 1440)
        for mtu in family == .ipv4 ? [1, 67, 1500, 1501, 65_535] : [1, 68, 1279, 1500, 65_536, .max] as [UInt32] {
            report(peer, mtu: mtu, about: 1)
            peer.expectNothing()
        }
        peer.send(ack: 1441)
        peer.write(size)
        peer.expect(.ack, seq: 1441, length: size)
    }

    @Test("Below 552 octets packets may be cut, and no two have one identification [6691-4, RFC 6864 §4.2]")
    func mayBeCut() {
        let (peer, _) = flight(.ipv4, 2000)
        report(peer, mtu: 300, about: 1)
        var seen: Set<UInt16> = []
        for _ in 0..<4 {
            guard let segment = peer.expect(.ack, length: nil) else { return }
            #expect(segment.length <= 512)
            #expect(segment.ip.identification != nil)
            if let number = segment.ip.identification { #expect(seen.insert(number).inserted) }
        }
        // Such a path narrows no more.
        report(peer, mtu: 100, about: 1)
        peer.expectNothing()
    }

    @Test("Above that they may not: DF is set [6691-3]")
    func mayNotBeCut() {
        let (peer, _) = flight(.ipv4, 1460)
        report(peer, mtu: 552, about: 1)
        #expect(peer.expect(.ack, seq: 1, length: 512)?.ip.identification == nil)
    }

    @Test("A larger segment is tried ten minutes later, not before [6691-6]", arguments: Family.allCases)
    func triedAgain(family: Family) {
        let (peer, size) = flight(family, 1440)
        report(peer, mtu: 1300, about: 1)
        peer.send(ack: 1441)
        peer.discard()
        peer.host.advance(by: .seconds(599))
        peer.write(1300)
        peer.expect(.ack, seq: 1441, length: 1300 - family.fixedHeaders)
        peer.discard()
        peer.send(ack: 2741)
        peer.host.advance(by: .seconds(1))
        peer.write(size)
        peer.expect(.ack, seq: 2741, length: size)
    }

    @Test(
        "In recovery from a loss all goes again in smaller segments, and the recovery ends where it was to end [6691-3]"
    )
    func inRecovery() {
        let (peer, size) = flight(.ipv4, 6 * 1460, offer: ScriptedPeer.Offer(mss: 1460, sack: true))
        for count in 2...4 { peer.sendSACK(ack: 1, [1 + size..<1 + count * size]) }
        peer.expect(.ack, seq: 1, length: size)
        peer.discard()
        report(peer, mtu: 1300, about: 1)
        peer.expect(.ack, seq: 1, length: 1260)
        peer.send(ack: 1 + 6 * size)
        peer.discard()
        // Half of the six segments that were in flight: the end of the recovery opens the window no further.
        peer.write(20 * 1260)
        #expect(peer.discard() == 3)
    }
}
