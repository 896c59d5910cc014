import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.10.7.4, seventh: the text of segments, in and out of order, once and twice.
@Suite("Seventh, process the segment text")
struct TextTests {
    private func established(_ family: Family, offer: ScriptedPeer.Offer = .plain) -> ScriptedPeer {
        let peer = ScriptedPeer(family, offer: offer)
        peer.establish()
        return peer
    }

    @Test(
        "Segments in the order 2, 3, 1 are read as 1, 2, 3 without a retransmission [SHLD-31, MAY-13]",
        arguments: Family.allCases)
    func outOfOrder(family: Family) {
        let peer = established(family)
        peer.send(seq: 101, length: 100)
        peer.expect(.ack, seq: 1, ack: 1)
        peer.send(seq: 201, length: 100)
        peer.expect(.ack, seq: 1, ack: 1)
        peer.expectRead(.wouldBlock)
        peer.send(seq: 1, length: 100)
        // RFC 5681 §4.2: a segment that fills a gap is acknowledged at once.
        peer.expect(.ack, seq: 1, ack: 301)
        peer.expectRead(300)
    }

    @Test(
        "A segment that fills part of a gap is acknowledged at once [RFC 5681 §4.2, 5681-8]", arguments: Family.allCases
    )
    func fillsPart(family: Family) {
        let peer = established(family)
        peer.send(seq: 201, length: 100)
        peer.expect(.ack, ack: 1)
        peer.send(seq: 1, length: 100)
        peer.expect(.ack, ack: 101)
        peer.send(seq: 101, length: 100)
        peer.expect(.ack, ack: 301)
        peer.expectRead(300)
    }

    /// Pieces of the stream 1..<31 that arrive after 11..<21 did: left, right, both, contained, equal.
    static let overlaps: [Range<Int>] = [
        1..<11, 1..<12, 1..<15, 1..<21, 1..<22, 1..<31, 5..<15, 10..<11, 11..<12, 11..<21, 12..<18, 15..<25, 20..<31,
        21..<31,
        10..<22, 11..<31,
    ]

    @Test("Overlapping segments neither lose nor double an octet [U-27, B-28]", arguments: Family.allCases, overlaps)
    func overlap(family: Family, piece: Range<Int>) {
        let peer = established(family)
        peer.send(seq: 11, length: 10)
        peer.send(seq: piece.lowerBound, length: piece.count)
        peer.send(seq: 21, length: 10)
        peer.send(seq: 1, length: 10)
        peer.host.advance(by: .milliseconds(500))
        #expect(peer.pending.last.map(peer.relativeAcknowledgment) == 31)
        peer.expectRead(30)
        peer.expectRead(.wouldBlock)
    }

    @Test("All orders of four segments are read in order [SHLD-31, B-27, 2525-5]", arguments: Family.allCases)
    func permutations(family: Family) {
        let host = VirtualHost(families: [family])
        let opener = ScriptedPeer(family, host: host)
        opener.listen()
        for (index, order) in orders(of: [0, 1, 2, 3]).enumerated() {
            let peer = ScriptedPeer(family, host: host, port: 6000 + UInt16(index))
            peer.listener = opener.listener
            peer.establish()
            for piece in order {
                let isLast = piece == 3
                peer.send(isLast ? [.fin, .ack] : .ack, seq: 1 + piece * 10, length: 10)
                if piece != order.last { peer.expectState(.established) }
            }
            peer.host.advance(by: .milliseconds(500))
            #expect(peer.pending.last.map(peer.relativeAcknowledgment) == 42, "order \(order)")
            peer.expectState(.closeWait)
            peer.expectRead(40)
            peer.expectRead(.endOfStream)
        }
    }

    private func orders(of items: [Int]) -> [[Int]] {
        guard items.count > 1 else { return [items] }
        return items.flatMap { item in orders(of: items.filter { $0 != item }).map { [item] + $0 } }
    }

    @Test("Where two copies differ, the octets that came first stay [B-28]", arguments: Family.allCases)
    func inconsistent(family: Family) throws {
        let peer = established(family)
        peer.send(seq: 11, data: [UInt8](repeating: 1, count: 10))
        peer.send(seq: 1, data: [UInt8](repeating: 2, count: 15))
        peer.send(seq: 21, data: [UInt8](repeating: 3, count: 5))
        let (_, octets) = try peer.read()
        // What was in the queue first wins; in order data may also overwrite it, but must be whole.
        let first =
            [UInt8](repeating: 2, count: 10) + [UInt8](repeating: 1, count: 10) + [UInt8](repeating: 3, count: 5)
        #expect(octets == first)
    }

    @Test("Data below RCV.NXT is never delivered twice [U-27]", arguments: Family.allCases)
    func duplicates(family: Family) {
        let peer = established(family)
        peer.send(length: 100)
        peer.expectRead(100)
        peer.host.advance(by: .milliseconds(500))
        peer.discard()
        peer.send(seq: 1, length: 100)
        peer.expect(.ack, seq: 1, ack: 101)
        peer.send(seq: 51, length: 100)
        peer.expect(.ack, seq: 1, ack: 151, within: .milliseconds(500))
        peer.expectRead(50)
        peer.expectRead(.wouldBlock)
    }

    @Test(
        "Ten in-order segments of one burst are acknowledged together, after the last [MUST-58, MUST-59]",
        arguments: Family.allCases)
    func burst(family: Family) {
        let peer = established(family)
        peer.host.batch { for _ in 0..<10 { peer.send(length: 1460) } }
        peer.host.advance(by: .milliseconds(500))
        let acks = peer.pending
        #expect(acks.count >= 1 && acks.count < 10)
        #expect(acks.last.map(peer.relativeAcknowledgment) == 14_601)
        peer.expectRead(14_600)
    }

    @Test("A segment may be far larger than the MTU: a merged one is one segment [B-40]", arguments: Family.allCases)
    func merged(family: Family) {
        let peer = established(family)
        peer.send(length: 40_000)
        peer.expect(.ack, ack: 40_001)
        peer.expectRead(40_000)
    }

    @Test(
        "Many one-octet segments out of order hold memory within the budget and all arrive [B-16]",
        arguments: Family.allCases)
    func segmentSmack(family: Family) {
        #if DEBUG
            let count = 2000
        #else
            let count = 20_000
        #endif
        var configuration = Configuration()
        configuration.memoryBudget = 8 << 20
        let peer = ScriptedPeer(family, configuration, offer: .sack)
        peer.establish()
        for index in (0..<count).reversed() where index % 2 == 1 { peer.send(seq: 1 + index, length: 1) }
        peer.discard()
        #expect(peer.host.stack.memory.total <= 8 << 20)
        peer.expectState(.established)
        peer.history.removeAll()
        peer.host.trace.removeAll()
        // Whatever was not kept is sent again, as a peer does.
        peer.next = 1
        while peer.next < count { peer.send(length: min(1000, 1 + count - peer.next)) }
        peer.host.advance(by: .seconds(1))
        peer.expectRead(count)
    }

    @Test(
        "IP options and extension headers that may be passed over are [MUST-50, MAY-10, MAY-11]",
        arguments: Family.allCases)
    func ipOptions(family: Family) {
        let peer = ScriptedPeer(family)
        peer.listen()
        let options: [[UInt8]] =
            family == .ipv4
            ? [[0x9E, 4, 1, 2], [1, 1, 1, 0], [68, 4, 5, 0], [7, 7, 4, 0, 0, 0, 0, 0]]
            : [[6, 0, 0x1E, 2, 9, 9, 1, 0], [6, 0, 1, 4, 0, 0, 0, 0]]
        for (index, octets) in options.enumerated() {
            let some = ScriptedPeer(family, host: peer.host, port: 7000 + UInt16(index))
            some.listener = peer.listener
            some.send(.syn) { $0.ipOptions = octets }
            some.expect([.syn, .ack], ack: 1)
            some.send(.ack) { $0.ipOptions = octets }
            some.accept()
            some.send(length: 10) { $0.ipOptions = octets }
            some.expectRead(10)
        }
    }

    @Test("Padding behind the IP packet is not data [RFC 1122 §3.2.1]", arguments: Family.allCases)
    func padding(family: Family) {
        let peer = established(family)
        peer.send(length: 5) { $0.edit = { $0 += [1, 2, 3, 4, 5, 6] } }
        peer.expectRead(5)
        peer.expectRead(.wouldBlock)
    }

    @Test("Nonsense in the headers is counted and dropped [B-34]", arguments: Family.allCases)
    func nonsense(family: Family) {
        let peer = established(family)
        for offset in UInt8(0)..<5 { peer.send(seq: 1, length: 10) { $0.dataOffset = offset } }
        peer.send(seq: 1, length: 2) { $0.dataOffset = 15 }
        peer.send(seq: 1, length: 10) { $0.edit = { $0[0] = 0x90 } }
        peer.send(seq: 1, length: 10) { $0.hopLimit = 0 }
        for cut in [0, 1, 19, 20, 30, 39, 41] {
            peer.send(seq: 1, length: 30) { $0.edit = { $0 = Array($0.prefix(cut)) } }
        }
        peer.send(seq: 1, length: 10) { $0.source.port = 0 }
        peer.send(seq: 1, length: 10) { $0.destination.port = 0 }
        peer.expectNothing(for: .seconds(1))
        peer.expectState(.established)
        peer.expectRead(.wouldBlock)
        #expect(peer.host.stack.counters[.badHeaderLength] >= 6)
        #expect(peer.host.stack.counters[.badVersion] >= 1)
        #expect(peer.host.stack.counters[.portZero] == 2)
        #expect(peer.host.stack.counters[.hopLimitExceeded] == 1)
    }
}
