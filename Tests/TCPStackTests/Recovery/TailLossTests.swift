import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 8985 §7: the sender asks when nothing tells of the tail.
@Suite("TLP: when the last segments of a flight are lost")
struct TailLossTests {
    @Test(
        "RFC 8985 §7.2: two round trips after the last data the last segment goes again, and congestion control hears nothing yet [8985-13, 8985-16]",
        arguments: Family.allCases)
    func lastSegment(family: Family) {
        let peer = ScriptedPeer.sender(family)
        peer.writeSegments(5)
        peer.expectSent([0, 1, 2, 3, 4])
        peer.expectSent([4], after: 200)
        #expect(peer.phase == .open)
        #expect(peer.windowSegments == 10)
    }

    @Test(
        "RFC 8985 §7.2: an acknowledgment of a part starts the time anew [8985-13]", arguments: Family.allCases)
    func restarts(family: Family) {
        let peer = ScriptedPeer.sender(family)
        peer.fly(5)
        peer.acknowledge(3)
        peer.expectSent([4], after: 200)
    }

    @Test(
        "RFC 8985 §7.2: of a lone segment the peer may hold the acknowledgment back: 200 ms more [8985-14]",
        arguments: Family.allCases)
    func lone(family: Family) {
        let peer = ScriptedPeer.sender(family) { $0.minimumRTO = .seconds(1) }
        peer.writeSegments(1)
        peer.expectSent([0])
        peer.expectSent([0], after: 400)
        #expect(peer.phase == .open)
    }

    /// The acknowledgment of the first segment came after 200 ms instead of 100.
    private func delaying(_ family: Family) -> ScriptedPeer {
        let peer = ScriptedPeer.sender(family) { $0.minimumRTO = .seconds(1) }
        peer.writeSegments(1)
        peer.expectSent([0])
        peer.wait(200)
        peer.acknowledge(1)
        peer.writeSegments(1)
        peer.expectSent([1])
        return peer
    }

    @Test(
        "RFC 8985 §7.2: what a peer was seen to hold acknowledgments back is what a lone segment waits besides [8985-14]",
        arguments: Family.allCases)
    func heldBack(family: Family) {
        let peer = delaying(family)
        // SRTT is 112.5 ms: one and a half, and 100 ms.
        peer.expectSent([1], after: 269)
        #expect(peer.phase == .open)
    }

    @Test(
        "RFC 8985 §7.2: of a peer whose lone segment came twice as much as may be is waited for, and less again with time",
        arguments: Family.allCases)
    func heldBackLonger(family: Family) {
        let peer = delaying(family)
        peer.expectSent([1], after: 269)
        // Both arrived; timestamps are not in use, so that it measures nothing.
        peer.acknowledge(2, 1..<2)
        peer.writeSegments(1)
        peer.expectSent([2])
        peer.wait(112)
        peer.acknowledge(3)
        peer.writeSegments(1)
        peer.expectSent([3])
        // SRTT is 112.4 ms: one and a half, and seven eighths of 200 ms.
        peer.expectSent([3], after: 344)
    }

    @Test(
        "RFC 8985 §7.2: while acknowledgments still come a lone segment is waited for, however late it is",
        arguments: Family.allCases)
    func stillComing(family: Family) {
        let peer = ScriptedPeer.sender(family) { $0.minimumRTO = .seconds(1) }
        peer.writeSegments(4)
        peer.expectSent([0, 1, 2, 3])
        peer.wait(100)
        // At once: the peer holds nothing back.
        peer.acknowledge(1)
        peer.wait(195)
        peer.acknowledge(3)
        // The fourth left more than two round trips ago. SRTT is 124 ms by now, and half of it is waited.
        peer.expectSent([3], after: 62)
        #expect(peer.phase == .open)
    }

    @Test(
        "RFC 8985 §7.2: over a short path a lone segment waits as long as most hosts hold an acknowledgment back",
        arguments: Family.allCases)
    func usual(family: Family) {
        let peer = ScriptedPeer(family, .steadySegments, offer: ScriptedPeer.Offer(mss: 1000, sack: true))
        peer.establish(rtt: .milliseconds(10))
        peer.writeSegments(2)
        peer.expectSent([0, 1])
        peer.wait(10)
        peer.acknowledge(1)
        peer.expectSent([1], after: 45)
        #expect(peer.phase == .open)
    }

    @Test(
        "RFC 8985 §7.2: the probe leaves no later than the timeout would, and instead of it [8985-15]",
        arguments: Family.allCases)
    func notAfterTimeout(family: Family) {
        let peer = ScriptedPeer.sender(family)
        peer.writeSegments(1)
        peer.expectSent([0])
        peer.expectSent([0], after: 300)
        #expect(peer.phase == .open && peer.windowSegments == 10)
        // RFC 8985 §7.3: the timeout is armed anew.
        peer.expectSent([0], after: 300)
        #expect(peer.phase == .timeout && peer.windowSegments == 1)
    }

    @Test("RFC 8985 §7.2: without a measured round trip it is one second [8985-14]", arguments: Family.allCases)
    func unmeasured(family: Family) {
        let peer = ScriptedPeer(family, .steadySegments, offer: ScriptedPeer.Offer(mss: 1000, sack: true))
        peer.connect()
        peer.expect(.syn)
        // Karn: a SYN sent twice measures nothing.
        let syn = peer.expect(.syn, after: .seconds(1))
        peer.agree(stack: syn)
        peer.send([.syn, .ack])
        peer.expect(.ack, seq: 1, ack: 1)
        peer.writeSegments(1)
        peer.expectSent([0])
        peer.expectSent([0], after: 1000)
        #expect(peer.phase == .open)
    }

    @Test(
        "RFC 8985 §7.3: new data goes rather than old, whatever the window of congestion, and the timeout counts from there [8985-16, 8985-17]",
        arguments: Family.allCases)
    func newData(family: Family) {
        let peer = ScriptedPeer.sender(family)
        peer.writeSegments(20)
        peer.expectSent(Array(0..<10))
        peer.expectSent([10], after: 200)
        #expect(peer.windowSegments == 10)
        // One at a time: the next is the timeout, an RTO of 300 ms after the probe.
        peer.expectSent([0], after: 300)
        #expect(peer.phase == .timeout)
    }

    @Test(
        "RFC 8985 §7.3: where the peer's window is full the last segment goes again [8985-16]",
        arguments: Family.allCases)
    func fullWindow(family: Family) {
        let peer = ScriptedPeer(family, .steadySegments, offer: ScriptedPeer.Offer(mss: 1000, sack: true))
        peer.window = 3000
        peer.establish(rtt: .milliseconds(100))
        peer.writeSegments(5)
        peer.expectSent([0, 1, 2])
        peer.expectSent([2], after: 200)
    }

    @Test(
        "RFC 8985 §7.3: one probe at a time; the next waits for a new round trip to be measured [8985-17]",
        arguments: Family.allCases)
    func needsMeasurement(family: Family) {
        let peer = ScriptedPeer.sender(family)
        peer.writeSegments(2)
        peer.discard()
        peer.expectSent([1], after: 200)
        peer.wait(50)
        // An answer to what was sent twice measures nothing.
        peer.acknowledge(2)
        peer.writeSegments(2)
        peer.expectSent([2, 3])
        // No probe after 200 ms: the timeout comes.
        peer.expectSent([2], after: 300)
        #expect(peer.phase == .timeout)
    }

    @Test(
        "RFC 8985 §7.3: a probe that both answered measured nothing: no second one, and the timeout counts from where it would have left [8985-17]",
        arguments: Family.allCases)
    func answeredWithoutMeasurement(family: Family) {
        let peer = ScriptedPeer.sender(family)
        peer.writeSegments(2)
        peer.discard()
        peer.expectSent([1], after: 200)
        peer.wait(50)
        peer.acknowledge(2)
        // The duplicate: the probe is done with.
        peer.acknowledge(2)
        peer.writeSegments(2)
        peer.expectSent([2, 3])
        peer.expectSent([2], after: 500)
        #expect(peer.phase == .timeout)
    }

    @Test(
        "RFC 8985 §7.2: no probe while segments are reported, or something is repaired [8985-18]",
        arguments: Family.allCases)
    func notInRecovery(family: Family) {
        let peer = ScriptedPeer.sender(family) { $0.minimumRTO = .seconds(1) }
        peer.fly(5)
        for end in 2...4 { peer.acknowledge(0, 1..<end) }
        peer.expectSent([0])
        // Segment 4, and what was sent again, wait for the timeout.
        peer.expectNothing(for: .milliseconds(850))
        #expect(peer.phase == .fast)
    }

    @Test("RFC 8985 §7.2: a connection without SACK sends no probe", arguments: Family.allCases)
    func withoutSelective(family: Family) {
        let peer = ScriptedPeer.sender(family, sack: false)
        peer.writeSegments(5)
        peer.discard()
        peer.expectSent([0], after: 300)
        #expect(peer.phase == .timeout)
    }

    /// Four of five arrive; the probe sends the fifth again.
    private func probed(_ family: Family) -> ScriptedPeer {
        let peer = ScriptedPeer.sender(family)
        peer.fly(5)
        peer.acknowledge(4)
        peer.host.advance(to: peer.host.now + .milliseconds(400)) { !peer.pending.isEmpty }
        peer.expectSent([4])
        return peer
    }

    @Test(
        "RFC 8985 §7.4.2: a probe that repaired a loss without anybody saying so is answered as a loss [8985-20]",
        arguments: Family.allCases)
    func silentRepair(family: Family) {
        let peer = probed(family)
        let before = peer.windowSegments
        peer.wait(100)
        peer.acknowledge(5)
        peer.writeSegments(1)
        peer.expectSent([5])
        #expect(peer.windowSegments == before)
        peer.wait(100)
        // Beyond the probe, and no D-SACK came.
        peer.acknowledge(6)
        #expect(peer.windowSegments < before && peer.thresholdSegments < before)
        #expect(peer.phase == .open)
    }

    @Test(
        "RFC 8985 §7.4.2: a D-SACK, or a duplicate without SACK, says that both arrived: the window stays, with nothing in flight too [8985-19]",
        arguments: Family.allCases, [(true, false), (true, true), (false, false), (false, true)])
    func duplicate(family: Family, _ way: (isReported: Bool, withData: Bool)) {
        let peer = probed(family)
        let before = peer.windowSegments
        peer.wait(50)
        peer.acknowledge(5)
        if way.withData { peer.writeSegments(1) }
        peer.discard()
        peer.wait(50)
        if way.isReported { peer.acknowledge(5, 4..<5) } else { peer.acknowledge(5) }
        if !way.withData { peer.writeSegments(1) }
        peer.discard()
        peer.wait(100)
        peer.acknowledge(6)
        #expect(peer.windowSegments >= before && peer.thresholdSegments > 1000)
    }

    @Test(
        "RFC 8985 §7.4.2: a probe of new data that is acknowledged repaired nothing [8985-20]",
        arguments: Family.allCases)
    func newDataAcknowledged(family: Family) {
        let peer = ScriptedPeer.sender(family)
        peer.writeSegments(20)
        peer.discard()
        peer.expectSent([10], after: 200)
        peer.wait(100)
        peer.acknowledge(11)
        #expect(peer.windowSegments > 10 && peer.thresholdSegments > 1000)
    }

    @Test("RFC 8985 §7.3: the last segment with its FIN goes again [8985-16]", arguments: Family.allCases)
    func fin(family: Family) {
        let peer = ScriptedPeer.sender(family)
        peer.write(3 * ScriptedPeer.size)
        peer.close()
        peer.discard()
        peer.expectNothing(for: .milliseconds(200), slack: .milliseconds(1))
        peer.expect([.fin, .psh, .ack], seq: 2001, length: 1000, within: .milliseconds(3))
        peer.wait(100)
        peer.send(.ack, ack: 3002)
        peer.expectState(.finWait2)
        peer.expectNothing(for: .seconds(5))
    }

    @Test(
        "RFC 8985 §7.3: what a probe of new data reports shows the tail before it lost, without a timeout [8985-16]",
        arguments: Family.allCases)
    func probeTells(family: Family) {
        let peer = ScriptedPeer.sender(family)
        peer.writeSegments(20)
        peer.discard()
        peer.expectSent([10], after: 200)
        peer.wait(100)
        peer.acknowledge(0, 10..<11)
        // Sent two round trips before it: lost at once.
        #expect(peer.phase == .fast)
        #expect(peer.takeSent().first == 0)
        #expect(peer.lost == Array(1..<10))
    }

    @Test(
        "RFC 8985 §7.2: the last segment of a response of 20 KB lost at 100 ms goes again by a probe, and no timeout passes [8985-13, 8985-14]",
        arguments: Family.allCases)
    func response(family: Family) {
        let peer = ScriptedPeer.sender(family)
        peer.writeSegments(20)
        peer.expectSent(Array(0..<10))
        peer.wait(100)
        for segment in 1...10 { peer.acknowledge(segment) }
        peer.expectSent(Array(10..<20))
        let sent = peer.host.now
        peer.wait(100)
        for segment in 11...19 { peer.acknowledge(segment) }
        peer.host.advance(to: peer.host.now + .seconds(2)) { !peer.pending.isEmpty }
        peer.expectSent([19])
        // The peer acknowledges each segment at once: two round trips after it left the last one goes again.
        #expect(peer.host.now - sent >= .milliseconds(190) && peer.host.now - sent <= .milliseconds(225))
        #expect(peer.phase == .open)
    }

    @Test(
        "RFC 8985 §7.2: over a path of next to no time the probe leaves the peer the time that a host needs",
        arguments: Family.allCases)
    func shortestPath(family: Family) {
        let peer = ScriptedPeer(family, offer: ScriptedPeer.Offer(mss: 1000, sack: true))
        peer.establish(rtt: .zero)
        peer.writeSegments(5)
        peer.discard()
        let sent = peer.host.now
        peer.host.advance(to: sent + .seconds(1)) { !peer.pending.isEmpty }
        #expect(peer.host.now - sent >= .milliseconds(2) && peer.host.now - sent < .milliseconds(3))
        #expect(peer.phase == .open)
    }
}
