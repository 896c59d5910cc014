import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 2018 and RFC 2883: the blocks this receiver reports.
@Suite("SACK and D-SACK")
struct SelectiveAcknowledgmentTests {
    private func established(_ family: Family, timestamps: Bool = false) -> ScriptedPeer {
        let peer = ScriptedPeer(family, offer: ScriptedPeer.Offer(sack: true, timestamps: timestamps))
        peer.establish()
        return peer
    }

    /// Sends the `block`-th hundred octets and gives the blocks of the answer, relative to the peer's ISN.
    @discardableResult
    private func send(_ peer: ScriptedPeer, _ block: Int, count: Int = 1, ack: Int) -> [Range<Int>] {
        peer.send(seq: 1 + block * 100, length: count * 100)
        return answer(peer, ack: ack)
    }

    private func answer(_ peer: ScriptedPeer, ack: Int) -> [Range<Int>] {
        let segment = peer.expect(.ack, ack: ack, within: .milliseconds(100))
        return (segment?.sack ?? []).map {
            $0.start.distance(from: peer.isn)..<max($0.start.distance(from: peer.isn), $0.end.distance(from: peer.isn))
        }
    }

    @Test("No SACK unless the peer permitted it [RFC 2018 §2, 2018-1]", arguments: Family.allCases)
    func notPermitted(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        #expect(send(peer, 1, ack: 1).isEmpty)
        var configuration = Configuration()
        configuration.selectiveAcknowledgment = false
        let other = ScriptedPeer(family, configuration, offer: .sack)
        other.establish()
        #expect(send(other, 1, ack: 1).isEmpty)
    }

    @Test(
        "The first block holds the segment that caused the ACK; others follow, the most recent first [RFC 2018 §4, 2018-3]",
        arguments: Family.allCases)
    func blockOrder(family: Family) {
        let peer = established(family)
        #expect(send(peer, 1, ack: 1) == [101..<201])
        #expect(send(peer, 3, ack: 1) == [301..<401, 101..<201])
        #expect(send(peer, 5, ack: 1) == [501..<601, 301..<401, 101..<201])
        // A segment that joins a block makes that one the first.
        #expect(send(peer, 2, ack: 1) == [101..<401, 501..<601])
        #expect(send(peer, 6, ack: 1) == [501..<701, 101..<401])
        #expect(send(peer, 0, ack: 401) == [501..<701])
        #expect(send(peer, 4, ack: 701).isEmpty, "nothing is left to report")
        peer.expectRead(700)
    }

    @Test("Four blocks fit without timestamps, three with them [RFC 2018 §3, 2018-3]", arguments: Family.allCases)
    func blockCount(family: Family) {
        for timestamps in [false, true] {
            let peer = established(family, timestamps: timestamps)
            for block in [1, 3, 5, 7, 9] { send(peer, block, ack: 1) }
            let all = [1101..<1201, 901..<1001, 701..<801, 501..<601]
            #expect(send(peer, 11, ack: 1) == Array(all.prefix(timestamps ? 3 : 4)))
        }
    }

    @Test(
        "Every ACK carries the blocks while there is a gap, on data segments too [RFC 2018 §4, 2018-2]",
        arguments: Family.allCases)
    func everyAck(family: Family) {
        let peer = established(family)
        #expect(send(peer, 3, ack: 1) == [301..<401])
        #expect(send(peer, 0, ack: 101) == [301..<401])
        peer.write(50)
        let segment = peer.expect([.psh, .ack], ack: 101, length: 50)
        #expect(segment?.sack.count == 1)
        // An unacceptable segment's answer as well.
        peer.send(.ack, seq: 300_000)
        #expect(answer(peer, ack: 101) == [301..<401])
    }

    @Test(
        "A duplicate below the cumulative ACK is reported once, in the first block [RFC 2883 §4.1.1, 2018-6]",
        arguments: Family.allCases)
    func duplicateBelow(family: Family) {
        let peer = established(family)
        send(peer, 0, count: 3, ack: 301)
        #expect(send(peer, 1, ack: 301) == [101..<201])
        // Once: the next ACK does not repeat it.
        #expect(send(peer, 3, ack: 401).isEmpty)
    }

    @Test(
        "A duplicate below the ACK comes before the ordinary blocks [RFC 2883 §4.1.1, 2018-6]",
        arguments: Family.allCases)
    func duplicateBelowWithGap(family: Family) {
        let peer = established(family)
        send(peer, 0, ack: 101)
        send(peer, 3, ack: 101)
        #expect(send(peer, 0, ack: 101) == [1..<101, 301..<401])
        #expect(send(peer, 4, ack: 101) == [301..<501])
    }

    @Test(
        "A duplicate inside a block is reported first, its block second [RFC 2883 §4.1.3, 2018-6]",
        arguments: Family.allCases)
    func duplicateInside(family: Family) {
        let peer = established(family)
        send(peer, 2, count: 3, ack: 1)
        send(peer, 7, ack: 1)
        #expect(send(peer, 3, ack: 1) == [301..<401, 201..<501, 701..<801])
    }

    @Test(
        "Of a segment that is old in part the old part is reported [RFC 2883 §4.2.1, 2018-6]",
        arguments: Family.allCases)
    func partialBelow(family: Family) {
        let peer = established(family)
        send(peer, 0, count: 2, ack: 201)
        peer.send(seq: 101, length: 200)
        #expect(answer(peer, ack: 301) == [101..<201])
        peer.expectRead(300)
    }

    @Test(
        "Of a segment that is held in part the held part is reported, its block second [RFC 2883 §4.2.2, 2018-6]",
        arguments: Family.allCases)
    func partialInside(family: Family) {
        let peer = established(family)
        send(peer, 2, ack: 1)
        peer.send(seq: 201, length: 200)
        #expect(answer(peer, ack: 1) == [201..<301, 201..<401])
    }

    @Test("A FIN waiting behind a gap does not upset the blocks [B-30]", arguments: Family.allCases)
    func finBehindGap(family: Family) {
        let peer = established(family)
        peer.send([.fin, .ack], seq: 101, length: 100)
        let blocks = answer(peer, ack: 1)
        #expect(blocks.count == 1 && blocks[0].lowerBound == 101 && [201, 202].contains(blocks[0].upperBound))
        peer.send(seq: 1, length: 100)
        #expect(answer(peer, ack: 202).isEmpty)
        peer.expectState(.closeWait)
        peer.expectRead(200)
        peer.expectRead(.endOfStream)
    }

    @Test("Blocks wrap with sequence numbers [U-1, B-15]", arguments: [UInt32(0xFFFF_FF80), 0x7FFF_FF80])
    func wrap(isn: UInt32) {
        let peer = ScriptedPeer(.ipv4, isn: isn, offer: .sack)
        peer.establish()
        #expect(send(peer, 1, ack: 1) == [101..<201])
        #expect(send(peer, 3, ack: 1) == [301..<401, 101..<201])
        #expect(send(peer, 0, ack: 201) == [301..<401])
    }

    @Test(
        "D-SACK of the peer is no new data to the sender: nothing is counted twice [RFC 2883 §4, B-30, 2018-6]",
        arguments: Family.allCases)
    func receivesDuplicateReport(family: Family) {
        let peer = established(family)
        peer.write(10 * peer.mss)
        let segments = peer.discard()
        #expect(segments == 10)
        // All arrived, the first one twice.
        peer.sendSACK(ack: 1 + 10 * peer.mss, [1..<1 + peer.mss])
        #expect(peer.status?.unacknowledged == 0)
        peer.expectNothing(for: .seconds(2))
        peer.write(100)
        peer.expect([.psh, .ack], length: 100)
    }

    @Test(
        "Malformed blocks are passed over: reversed, empty, beyond SND.NXT, far below SND.UNA [RFC 2018 §5, B-16, 2018-7]",
        arguments: Family.allCases)
    func malformed(family: Family) {
        let peer = established(family)
        peer.write(10 * peer.mss)
        peer.discard()
        let mss = peer.mss
        let bad: [[Range<Int>]] = [
            [1..<1], [1 + 20 * mss..<1 + 21 * mss], [5 * mss..<1 + 50 * mss], [-100_000 ..< -90_000],
            [0x4000_0000..<0x4000_1000],
        ]
        for blocks in bad { peer.sendSACK(ack: 1, blocks) }
        peer.send(.ack, ack: 1, options: [.nop, .nop, .raw([5, 10] + reversed(peer, 5 * mss, 2 * mss))])
        peer.discard()
        peer.expectState(.established)
        peer.send(.ack, ack: 1 + 10 * mss)
        #expect(peer.status?.unacknowledged == 0)
        peer.discard()
        peer.expectNothing(for: .seconds(5))
    }

    private func reversed(_ peer: ScriptedPeer, _ start: Int, _ end: Int) -> [UInt8] {
        let base = peer.stackISN ?? SequenceNumber(0)
        return big32((base + start).rawValue) + big32((base + end).rawValue)
    }
}
