import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Replies that belong to no connection wait for the link in order, and within bounds (DESIGN rule 4).
@Suite("Replies that wait for the link")
struct ReplyQueueTests {
    @Test("Replies leave in the order of what they answer", arguments: Family.allCases)
    func order(family: Family) {
        let peer = ScriptedPeer(family)
        peer.host.batch {
            for number in [100, 300, 200] { peer.send(.ack, seq: 0, ack: number) }
        }
        for number in [100, 300, 200] { peer.expect(.rst, seq: number) }
        peer.expectNothing()
    }

    @Test(
        "A reply that waits is dropped when what it was about has gone, even if another has its place",
        arguments: Family.allCases)
    func replaced(family: Family) {
        let old = ScriptedPeer(family)
        old.listen()
        let other = ScriptedPeer(family, host: old.host, port: 4001, isn: 0x3000_0000)
        other.listener = old.listener
        old.host.batch {
            old.send(.syn)
            // In SYN-RECEIVED the SYN,ACK has not left, so the peer can only know the number it chose itself.
            old.send(.rst)
            other.send(.syn)
        }
        old.expectNothing()
        other.expect([.syn, .ack], seq: 0, ack: 1)
        other.expectNothing()
    }

    @Test(
        "Connections that wait for the link send in the order in which they began to wait", arguments: Family.allCases)
    func turns(family: Family) {
        let first = ScriptedPeer(family)
        first.establish()
        var peers = [first]
        for port in 4001...4003 as ClosedRange<UInt16> {
            let peer = ScriptedPeer(family, host: first.host, port: port)
            peer.listener = first.listener
            peer.establish()
            peers.append(peer)
        }
        let begin = first.host.trace.count
        // The length tells who it is.
        first.host.batch { for number in [2, 0, 3, 1] { peers[number].write(100 + number) } }
        let lines = first.host.trace[begin...]
        let order = lines.compactMap { line in (0...3).first { line.hasSuffix("len \(100 + $0)") } }
        #expect(order == [2, 0, 3, 1], "\(lines)")
    }

    @Test("Of any number of replies 1024 wait; the rest are counted and forgotten", arguments: Family.allCases)
    func bounded(family: Family) {
        let peer = ScriptedPeer(family)
        peer.host.batch {
            for number in 0..<2000 { peer.send(.ack, seq: 0, ack: number) }
        }
        #expect(peer.discard() == 1024)
        #expect(peer.host.stack.counters.repliesDropped == 2000 - 1024)
    }

    @Test("Of any number of echo requests those wait that take 256 KiB at most", arguments: Family.allCases)
    func echoes(family: Family) {
        let peer = ScriptedPeer(family)
        let data = [UInt8](repeating: 1, count: 1024 - 8)
        peer.host.batch {
            for _ in 0..<300 { peer.sendEcho(data) }
            #expect(peer.host.stack.memory.buffers <= 256 << 10)
            // 40 octets of description go with each.
        }
        let room = (256 << 10) / (1024 + 40)
        #expect(peer.host.others.count == room)
        #expect(peer.host.stack.counters[.queueFull] == UInt64(300 - room))
    }

    @Test(
        "An echo reply has the request's DSCP and never its ECN bits: it is no congestion-controlled packet [RFC 3168 §6.1]",
        arguments: Family.allCases)
    func trafficClass(family: Family) throws {
        let peer = ScriptedPeer(family)
        peer.sendEcho([1, 2, 3], trafficClass: 46 << 2 | 3)
        let reply = try #require(peer.host.others.first)
        #expect(try IPHeader(parsing: reply.span.bytes).trafficClass == 46 << 2)
    }

    @Test(
        "A link's word for a checksum is taken, unless the configuration says to verify them all [MUST-3]",
        arguments: Family.allCases, [false, true])
    func vouched(family: Family, verifies: Bool) {
        var configuration = Configuration()
        configuration.alwaysVerifiesChecksums = verifies
        let peer = ScriptedPeer(family, configuration)
        var segment = Injection(
            source: peer.endpoint, destination: peer.target, sequence: SequenceNumber(1), flags: .syn)
        segment.hasValidChecksum = false
        var metadata = PacketMetadata()
        metadata.isChecksumTrusted = true
        peer.host.inject(segment.packet(), metadata: metadata)
        #expect(peer.discard() == (verifies ? 0 : 1))
        #expect(peer.host.stack.counters[.badChecksum] == (verifies ? 1 : 0))
    }
}
