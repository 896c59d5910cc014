import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 3522, RFC 3708 and RFC 4015: a recovery that was not called for is found, and taken back.
@Suite("Undo: recoveries that were spurious")
struct UndoTests {
    /// Three of ten segments are reported; the first is sent again though it is only late.
    private func overtaken(
        _ family: Family, sack: Bool = true, timestamps: Bool = false, control: CongestionControl = .newReno
    ) -> ScriptedPeer {
        let peer = ScriptedPeer.sender(family, sack: sack, timestamps: timestamps, control: control)
        peer.writeSegments(40)
        peer.expectSent(Array(0..<10))
        peer.wait(100)
        if sack {
            for end in 2...4 { peer.acknowledge(0, 1..<end) }
        } else {
            for _ in 1...3 { peer.acknowledge(0) }
        }
        #expect(peer.takeSent().contains(0))
        #expect(peer.phase == .fast)
        return peer
    }

    private func expectUndone(_ peer: ScriptedPeer, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(peer.phase == .open, sourceLocation: sourceLocation)
        #expect(peer.windowSegments >= 10, sourceLocation: sourceLocation)
        #expect(peer.thresholdSegments > 1000, "the first slow start goes on", sourceLocation: sourceLocation)
        #expect(peer.lost == [], sourceLocation: sourceLocation)
    }

    @Test(
        "RFC 3522 §3.2, RFC 4015 §3: an ACK that echoes a time before the retransmission takes the recovery back, window and threshold [3522-1, 4015-1]",
        arguments: Family.allCases, [CongestionControl.newReno, .cubic])
    func eifel(family: Family, control: CongestionControl) {
        let peer = ScriptedPeer.sender(family, timestamps: true, control: control)
        peer.writeSegments(40)
        peer.expectSent(Array(0..<10))
        let echo = peer.lastTimestamp
        peer.wait(100)
        for end in 2...4 {
            peer.lastTimestamp = echo
            peer.acknowledge(0, 1..<end)
        }
        #expect(peer.takeSent().contains(0))
        #expect(peer.thresholdSegments < 10)
        peer.wait(1)
        peer.lastTimestamp = echo
        peer.acknowledge(4)
        expectUndone(peer)
        #expect(!peer.takeSent().contains(4))
    }

    @Test(
        "RFC 3522 §3.2: an ACK that echoes the retransmission confirms the loss [3522-2]", arguments: Family.allCases,
        [false, true])
    func notSpurious(family: Family, sack: Bool) {
        let peer = overtaken(family, sack: sack, timestamps: true)
        peer.wait(100)
        peer.acknowledge(4)
        #expect(peer.phase == .fast)
        #expect(peer.thresholdSegments <= 6)
    }

    @Test("RFC 3522 §3.2: without SACK timestamps tell as well [3522-1]", arguments: Family.allCases)
    func eifelWithoutSelective(family: Family) {
        let peer = ScriptedPeer.sender(family, sack: false, timestamps: true)
        peer.writeSegments(40)
        peer.discard()
        let echo = peer.lastTimestamp
        peer.wait(100)
        for _ in 1...3 {
            peer.lastTimestamp = echo
            peer.acknowledge(0)
        }
        #expect(peer.phase == .fast)
        peer.discard()
        peer.wait(1)
        peer.lastTimestamp = echo
        peer.acknowledge(4)
        expectUndone(peer)
    }

    @Test(
        "RFC 3708 §3: when D-SACK reports all that was sent again, none of it was needed [3708-1]",
        arguments: Family.allCases, [CongestionControl.newReno, .cubic])
    func duplicateReported(family: Family, control: CongestionControl) {
        let peer = overtaken(family, control: control)
        peer.wait(30)
        peer.acknowledge(4)
        #expect(peer.phase == .fast)
        peer.wait(70)
        peer.acknowledge(4, 0..<1)
        expectUndone(peer)
    }

    @Test(
        "RFC 3708 §3: a D-SACK of a part leaves the recovery as it is; the rest takes it back [3708-1]",
        arguments: Family.allCases)
    func inPart(family: Family) {
        let peer = ScriptedPeer.sender(family)
        peer.fly(40)
        peer.acknowledge(0, 2..<10)
        // Both of those that are missing go again.
        #expect(peer.takeSent().prefix(2) == [0, 1])
        peer.wait(50)
        peer.acknowledge(0, 2..<10)
        peer.acknowledge(10)
        peer.discard()
        peer.wait(50)
        peer.acknowledge(10, 0..<1)
        #expect(peer.thresholdSegments == 5)
        peer.acknowledge(10, 1..<2)
        #expect(peer.thresholdSegments > 1000 && peer.windowSegments >= 10)
    }

    @Test(
        "RFC 3708 §3: a D-SACK of what this recovery did not send again takes nothing back [3708-1]",
        arguments: Family.allCases)
    func ofSomethingElse(family: Family) {
        let peer = ScriptedPeer.sender(family)
        peer.exchange(2, from: 0)
        peer.fly(40)
        for end in 4...6 { peer.acknowledge(2, 3..<end) }
        #expect(peer.takeSent().contains(2))
        // The network sent segment 0 twice.
        peer.acknowledge(2, 0..<1, 3..<7)
        #expect(peer.phase == .fast)
        #expect(peer.thresholdSegments <= 6)
    }

    @Test(
        "RFC 3522 §3.2, RFC 8985 §6.2: after a spurious recovery what was late is known to be: the next hole waits for the reordering window",
        arguments: Family.allCases)
    func learns(family: Family) {
        let peer = overtaken(family)
        peer.wait(30)
        peer.acknowledge(9)
        peer.acknowledge(9, 0..<1)
        #expect(peer.phase == .open)
        let next = (peer.takeSent().last ?? 0) + 1
        peer.wait(100)
        peer.acknowledge(next)
        #expect(peer.takeSent().first == next)
        peer.wait(100)
        peer.acknowledge(next, next + 1..<next + 8)
        #expect(!peer.takeSent().contains(next))
        #expect(peer.phase == .open)
        // Twice a quarter of the round trip, for a D-SACK came.
        peer.wait(52)
        #expect(peer.takeSent().contains(next))
    }

    @Test(
        "RFC 4015 §3.2: a loss that is found once a recovery was taken back is answered as one [4015-2]",
        arguments: Family.allCases)
    func realLossAfterUndo(family: Family) {
        let peer = ScriptedPeer.sender(family, timestamps: true)
        peer.writeSegments(40)
        peer.expectSent(Array(0..<10))
        let echo = peer.lastTimestamp
        peer.wait(100)
        peer.lastTimestamp = echo
        peer.acknowledge(0, 1..<2, 3..<5)
        #expect(peer.takeSent().contains(0))
        peer.wait(40)
        // Segment 0 was only late; 2 has been missing for longer than a round trip and the reordering window.
        peer.lastTimestamp = echo
        peer.acknowledge(2, 3..<10)
        peer.host.advance(by: .milliseconds(120))
        #expect(peer.takeSent().contains(2))
        #expect(peer.phase == .fast)
        #expect(peer.thresholdSegments < 1000)
    }

    @Test(
        "RFC 3708 §3: a D-SACK counts when everything is acknowledged, and on an ACK that others have overtaken [3708-1]",
        arguments: Family.allCases, [false, true])
    func afterTheEnd(family: Family, isOvertaken: Bool) {
        let peer = ScriptedPeer.sender(family)
        peer.fly(10)
        for end in 2...4 { peer.acknowledge(0, 1..<end) }
        peer.expectSent([0])
        peer.acknowledge(10)
        #expect(peer.windowSegments == 5)
        if isOvertaken {
            peer.writeSegments(1)
            peer.expectSent([10])
            peer.wait(100)
            peer.acknowledge(11)
        }
        peer.acknowledge(10, 0..<1)
        #expect(peer.windowSegments >= 10 && peer.thresholdSegments > 1000)
        #expect(peer.host.stack.audit() == nil)
    }
}
