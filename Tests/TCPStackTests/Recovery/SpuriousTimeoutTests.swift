import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 5682: what arrives after a timeout tells whether it was called for.
@Suite("F-RTO: timeouts that were spurious")
struct SpuriousTimeoutTests {
    /// Ten segments are out, and the timeout sends the first again; there is more to send.
    private func timedOut(_ family: Family, sack: Bool, more: Int = 30) -> ScriptedPeer {
        let peer = ScriptedPeer.sender(family, sack: sack) { $0.minimumRTO = .seconds(1) }
        peer.writeSegments(10 + more)
        #expect(peer.takeSent() == Array(0..<10))
        if sack {
            // The probe takes one segment of the new data.
            peer.host.advance(to: peer.host.now + .milliseconds(500)) { !peer.pending.isEmpty }
            #expect(peer.takeSent() == [more > 0 ? 10 : 9])
        }
        peer.host.advance(to: peer.host.now + .seconds(2)) { !peer.pending.isEmpty }
        peer.expectSent([0])
        #expect(peer.phase == .timeout && peer.windowSegments == 1)
        return peer
    }

    @Test(
        "RFC 5682 §2.1: two ACKs that advance after a timeout show it spurious: new data goes out between, nothing goes again, and the window comes back [5682-1, 5682-2]",
        arguments: Family.allCases, [false, true])
    func spurious(family: Family, sack: Bool) {
        let peer = timedOut(family, sack: sack)
        peer.acknowledge(1)
        // Step 2 b: two new segments instead of old ones.
        #expect(peer.takeSent() == (sack ? [11, 12] : [10, 11]))
        peer.acknowledge(2)
        #expect(peer.phase == .open)
        #expect(peer.windowSegments >= 10 && peer.thresholdSegments > 1000)
        for number in 3...10 { peer.acknowledge(number) }
        let sent = peer.takeSent()
        #expect(sent.allSatisfy { $0 > 11 })
        #expect(peer.status?.retransmittedSegments == 1)
    }

    @Test(
        "RFC 5682 §2.1 step 3: without SACK a duplicate says that the loss was real: the rest goes again [5682-3]",
        arguments: Family.allCases)
    func real(family: Family) {
        let peer = timedOut(family, sack: false)
        peer.acknowledge(1)
        peer.expectSent([10, 11])
        peer.acknowledge(1)
        #expect(peer.phase == .timeout)
        #expect(peer.takeSent().first == 1)
        #expect(peer.thresholdSegments < 10)
    }

    @Test(
        "RFC 5682 §3.1 step 3: with SACK, reports of the new data alone say that the loss was real [5682-3, 5682-5]",
        arguments: Family.allCases)
    func realWithSelective(family: Family) {
        let peer = timedOut(family, sack: true)
        peer.acknowledge(1)
        peer.expectSent([11, 12])
        peer.acknowledge(1, 11..<12)
        #expect(peer.phase == .timeout)
        #expect(peer.takeSent().first == 1)
        #expect(peer.thresholdSegments < 10)
    }

    @Test(
        "RFC 5682 §3.1 step 3: with SACK, a report of what was sent before the timeout says that it was spurious [5682-2]",
        arguments: Family.allCases)
    func reported(family: Family) {
        let peer = timedOut(family, sack: true)
        peer.acknowledge(1)
        peer.expectSent([11, 12])
        peer.acknowledge(1, 3..<4)
        #expect(peer.phase != .timeout)
        #expect(peer.thresholdSegments > 1000)
    }

    @Test(
        "RFC 5682 §3.1 step 2: with SACK duplicates before the first ACK that advances are waited out [5682-5]",
        arguments: Family.allCases)
    func duplicatesFirst(family: Family) {
        let peer = timedOut(family, sack: true)
        peer.acknowledge(0, 1..<2)
        #expect(!peer.takeSent().contains(2))
        peer.acknowledge(2)
        #expect(peer.takeSent().allSatisfy { $0 > 10 })
        peer.acknowledge(3)
        #expect(peer.phase == .open && peer.thresholdSegments > 1000)
    }

    @Test(
        "RFC 5682 §2.1 step 2: a duplicate, or an ACK of everything, tells nothing [5682-4]",
        arguments: Family.allCases,
        [false, true])
    func nothingToTell(family: Family, isAll: Bool) {
        let peer = timedOut(family, sack: false)
        let threshold = peer.thresholdSegments
        peer.acknowledge(isAll ? 10 : 0)
        peer.discard()
        peer.acknowledge(isAll ? 11 : 1)
        #expect(peer.thresholdSegments == threshold)
        #expect(peer.windowSegments < 10)
    }

    @Test(
        "RFC 5682 §2.1 step 2 b: with nothing new to send the rest goes again as ever [5682-4]",
        arguments: Family.allCases, [false, true])
    func nothingNew(family: Family, sack: Bool) {
        let peer = timedOut(family, sack: sack, more: 0)
        peer.wait(100)
        peer.acknowledge(1)
        #expect(peer.takeSent().prefix(2) == [1, 2])
        #expect(peer.phase == .timeout)
    }

    @Test(
        "RFC 5682 §2.1 step 2 b: new data that has to wait for company does not hold the repair up [5682-4]",
        arguments: Family.allCases)
    func corked(family: Family) {
        let peer = ScriptedPeer.sender(family, sack: false)
        peer.writeSegments(5)
        peer.discard()
        // One small segment may be out; the next waits for it.
        peer.write(10)
        peer.discard()
        peer.write(10)
        peer.expectNothing()
        peer.expectSent([0], after: 300)
        peer.wait(100)
        peer.acknowledge(1)
        #expect(peer.takeSent().first == 1)
    }

    @Test(
        "RFC 5682 §2.1: a silence of three seconds in which nothing is lost: nothing but the first segment goes again, by several timeouts; window and threshold come back [5682-1, 4015-1, 4015-3]",
        arguments: Family.allCases, [false, true])
    func longSilence(family: Family, timestamps: Bool) {
        let peer = ScriptedPeer.sender(family, sack: timestamps, timestamps: timestamps)
        peer.exchange(1, from: 0)
        peer.writeSegments(60)
        let flight = peer.takeSent()
        let echo = peer.lastTimestamp
        peer.wait(3000)
        let again = peer.takeSent()
        #expect(again.count >= 3)
        let before = again.filter { $0 <= flight.last ?? 0 }
        #expect(Set(before) == [1])
        // Now all that was on the way arrives, a millisecond apart.
        for segment in flight {
            peer.lastTimestamp = echo
            peer.acknowledge(segment + 1)
            peer.wait(1)
        }
        let sent = peer.takeSent()
        #expect(sent.allSatisfy { $0 > flight.last ?? 0 }, "\(sent)")
        #expect(peer.phase == .open)
        #expect(peer.windowSegments >= flight.count && peer.thresholdSegments > 1000)
        #expect(peer.details?.backoff == 0)
        // What was sent once tells how long the path takes now.
        #expect((peer.status?.smoothedRTT ?? .zero) > .milliseconds(500))
    }

    @Test(
        "RFC 8985 §6.3, RFC 6675 §5.1: a window lost but for its first segment takes one timeout, and slow start goes over the scoreboard: nothing goes twice, nothing that is held goes again [6675-5]",
        arguments: Family.allCases)
    func windowLost(family: Family) {
        let peer = ScriptedPeer.sender(family)
        peer.fly(10)
        peer.acknowledge(1)
        // The probe is lost too.
        peer.host.advance(to: peer.host.now + .milliseconds(400)) { !peer.pending.isEmpty }
        peer.expectSent([9])
        // What arrives from here on: segment 5 was only late.
        peer.host.advance(to: peer.host.now + .milliseconds(900)) { !peer.pending.isEmpty }
        peer.expectSent([1])
        #expect(peer.phase == .timeout)
        peer.wait(100)
        peer.acknowledge(2, 5..<6)
        var counts: [Int: Int] = [:]
        var held: Set<Int> = [5]
        var next = 2
        var rounds: [Int] = []
        while next < 10, rounds.count < 8 {
            let sent = peer.takeSent()
            rounds.append(sent.count)
            peer.wait(100)
            for segment in sent {
                counts[segment, default: 0] += 1
                held.insert(segment)
                while held.remove(next) != nil { next += 1 }
                if next < 5 { peer.acknowledge(next, 5..<6) } else { peer.acknowledge(next) }
            }
        }
        #expect(next == 10)
        #expect(counts == [2: 1, 3: 1, 4: 1, 6: 1, 7: 1, 8: 1, 9: 1])
        #expect(rounds.count <= 3, "two, then four and more")
        #expect(peer.phase == .open)
        #expect(peer.thresholdSegments == 5 || peer.thresholdSegments == 4)
    }

    @Test(
        "RFC 5681 §3.2: duplicates that come after a timeout let nothing out beside what it sent again",
        arguments: Family.allCases)
    func lateDuplicates(family: Family) {
        let peer = ScriptedPeer.sender(family, sack: false)
        peer.writeSegments(4)
        peer.discard()
        peer.expectSent([0], after: 300)
        for _ in 0..<4 { peer.acknowledge(0) }
        peer.expectNothing(for: .milliseconds(500))
    }
}
