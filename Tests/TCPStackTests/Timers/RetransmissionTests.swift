import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 6298 and RFC 9293 §3.8.1: when data is sent again.
@Suite("Retransmission timer")
struct RetransmissionTests {
    /// A connection whose timeout is the RFC's formula and no floor.
    private func exact(_ family: Family, rtt: Duration = .milliseconds(100), offer: ScriptedPeer.Offer = .plain)
        -> ScriptedPeer
    {
        var configuration = Configuration()
        configuration.minimumRTO = .milliseconds(1)
        let peer = ScriptedPeer(family, configuration, offer: offer)
        peer.establish(.active, rtt: rtt)
        return peer
    }

    private func expectClose(_ value: Duration?, _ wanted: Duration, _ location: SourceLocation = #_sourceLocation) {
        let difference = (value ?? .zero) - wanted
        #expect(
            difference < .microseconds(200) && difference > .microseconds(-200), "\(value ?? .zero), not \(wanted)",
            sourceLocation: location)
    }

    @Test(
        "A round trip shorter than the clock's tick is measured as short, whenever it begins [RFC 6298 §2]",
        arguments: Family.allCases, Role.allCases)
    func shorterThanTick(family: Family, role: Role) {
        for (offset, rtt) in [(0, 0), (1, 0), (65_000, 1), (65_000, 50_000), (131_071, 100_000), (3, 131_000)] {
            let peer = ScriptedPeer(family)
            peer.host.advance(by: .nanoseconds(offset))
            peer.establish(role, rtt: .nanoseconds(rtt))
            expectClose(peer.status?.smoothedRTT, .nanoseconds(rtt))
            #expect(peer.status?.retransmissionTimeout ?? .zero < .seconds(2))
        }
    }

    @Test(
        "First sample R: SRTT is R, RTO is 3R; then SRTT and RTTVAR follow by eighths and quarters [MUST-18, RFC 6298 §2, 6298-1]",
        arguments: Family.allCases, Role.allCases)
    func formula(family: Family, role: Role) {
        var configuration = Configuration()
        configuration.minimumRTO = .milliseconds(1)
        let peer = ScriptedPeer(family, configuration)
        peer.establish(role, rtt: .milliseconds(100))
        expectClose(peer.status?.smoothedRTT, .milliseconds(100))
        expectClose(peer.status?.retransmissionTimeout, .milliseconds(300))
        // Each step by hand, in microseconds.
        var smoothed = 100_000.0
        var variation = 50_000.0
        for sample in [50, 200, 200, 80, 120] {
            peer.write(100)
            peer.expect([.psh, .ack], length: 100)
            peer.host.advance(by: .milliseconds(sample))
            peer.send(.ack)
            variation = 0.75 * variation + 0.25 * abs(smoothed - Double(sample) * 1000)
            smoothed = 0.875 * smoothed + 0.125 * Double(sample) * 1000
            expectClose(peer.status?.smoothedRTT, .microseconds(Int(smoothed)))
            expectClose(peer.status?.retransmissionTimeout, .microseconds(Int(smoothed + 4 * variation)))
        }
        // And the timer is that value.
        let timeout = Duration.microseconds(Int(smoothed + 4 * variation))
        peer.write(100)
        peer.expect([.psh, .ack], length: 100)
        peer.expect([.psh, .ack], length: 100, after: timeout - .microseconds(200))
    }

    @Test(
        "Before any sample the RTO is the initial one; the floor and the cap hold [RFC 6298 §2.1, §2.4, §2.5, 6298-2, 6298-3, 2525-7]",
        arguments: Family.allCases)
    func bounds(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish(.passive, rtt: .milliseconds(10))
        #expect(peer.status?.retransmissionTimeout == .milliseconds(200))
        let waiting = ScriptedPeer(family)
        waiting.connect()
        #expect(waiting.status?.retransmissionTimeout == .seconds(1))
    }

    @Test(
        "Unanswered data is sent again after RTO, 2 RTO, 4 RTO and so on, to the cap of 60 s [MUST-19, RFC 6298 §5.5, 6298-5, 2525-10]",
        arguments: Family.allCases)
    func backoff(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.setOptions { $0.userTimeout = .seconds(Int64.max) }
        peer.write(100)
        peer.expect([.psh, .ack], seq: 1, length: 100)
        var wait = 200
        for _ in 0..<12 {
            peer.expect([.psh, .ack], seq: 1, length: 100, after: .milliseconds(wait))
            wait = min(60_000, wait * 2)
        }
        #expect(peer.status?.retransmissionTimeout == .seconds(60))
    }

    @Test(
        "The backed-off value holds until new data is acknowledged, then collapses [RFC 6298 §5.5, §5.7, 6298-5]",
        arguments: Family.allCases)
    func collapse(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.write(100)
        peer.expect([.psh, .ack], length: 100)
        for wait in [200, 400, 800] { peer.expect([.psh, .ack], length: 100, after: .milliseconds(wait)) }
        #expect(peer.status?.retransmissionTimeout == .milliseconds(1600))
        peer.send(.ack)
        peer.write(100)
        peer.expect([.psh, .ack], seq: 101, length: 100)
        peer.host.advance(by: .milliseconds(10))
        peer.send(.ack)
        #expect(peer.status?.retransmissionTimeout == .milliseconds(200))
    }

    @Test(
        "An ACK of a segment that was sent twice measures nothing, and leaves the timeout backed off; a measurement ends that [MUST-18, 6298-5]",
        arguments: Family.allCases)
    func backedOffUntilMeasured(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.write(100)
        peer.expect([.psh, .ack], length: 100)
        for wait in [200, 400] { peer.expect([.psh, .ack], length: 100, after: .milliseconds(wait)) }
        peer.send(.ack)
        #expect(peer.status?.retransmissionTimeout == .milliseconds(800))
        // The next one is lost too: without what the back-off learned, a path that has become slower would be asked too soon
        // for ever.
        peer.write(100)
        peer.expect([.psh, .ack], seq: 101, length: 100)
        peer.expect([.psh, .ack], seq: 101, length: 100, after: .milliseconds(800))
        peer.send(.ack)
        #expect(peer.status?.retransmissionTimeout == .milliseconds(1600))
        peer.write(100)
        peer.expect([.psh, .ack], seq: 201, length: 100)
        peer.host.advance(by: .milliseconds(10))
        peer.send(.ack)
        #expect(peer.status?.retransmissionTimeout == .milliseconds(200))
    }

    @Test(
        "A segment that was sent twice gives no sample without timestamps: Karn [MUST-18, 6298-4]",
        arguments: Family.allCases)
    func karn(family: Family) {
        let peer = exact(family)
        let smoothed = peer.status?.smoothedRTT
        peer.write(100)
        peer.expect([.psh, .ack], length: 100)
        peer.expect([.psh, .ack], length: 100, after: .milliseconds(300) - .microseconds(200))
        peer.host.advance(by: .milliseconds(5))
        peer.send(.ack)
        #expect(peer.status?.smoothedRTT == smoothed)
    }

    @Test(
        "The timer runs from the first segment: a later one does not start it anew [RFC 6298 §5.1, 6298-6]",
        arguments: Family.allCases)
    func startedOnce(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.write(1460)
        peer.discard()
        peer.host.advance(by: .milliseconds(150))
        peer.write(1460)
        peer.discard()
        peer.expect(.ack, seq: 1, length: peer.mss, after: .milliseconds(50))
    }

    @Test(
        "An ACK of new data starts it anew; when all is acknowledged it stops [RFC 6298 §5.2, §5.3, 6298-6]",
        arguments: Family.allCases)
    func restarted(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.write(2 * peer.mss)
        peer.discard()
        peer.host.advance(by: .milliseconds(150))
        peer.send(.ack, ack: 1 + peer.mss)
        peer.expect([.psh, .ack], seq: 1 + peer.mss, length: peer.mss, after: .milliseconds(200))
        peer.send(.ack, ack: 1 + 2 * peer.mss)
        peer.expectNothing(for: .seconds(300))
    }

    @Test(
        "Duplicate ACKs and window updates do not put the timer off [RFC 6298 §5.3, B-29, 6298-6]",
        arguments: Family.allCases)
    func notRestarted(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.write(100)
        peer.expect([.psh, .ack], length: 100)
        var sent = 0
        for step in 1...40 {
            peer.host.advance(by: .milliseconds(50))
            // A window update or data: neither acknowledges anything new, neither is a duplicate that counts.
            peer.send(.ack, ack: 1, window: UInt16(40_000 + step))
            sent += peer.pending.filter { $0.length == 100 }.count
            peer.discard()
        }
        // 200, 400, 800 ms: three in two seconds.
        #expect(sent == 3)
    }

    @Test(
        "A timeout sends the first unacknowledged segment and no other [U-43, RFC 2525, 2525-14]",
        arguments: Family.allCases)
    func firstOnly(family: Family) {
        let peer = ScriptedPeer(family, .steadySegments)
        peer.establish()
        peer.write(10 * peer.mss)
        #expect(peer.discard() == 10)
        peer.expect(.ack, seq: 1, length: peer.mss, after: .milliseconds(200))
        peer.expectNothing()
        peer.expect(.ack, seq: 1, length: peer.mss, after: .milliseconds(400))
        peer.expectNothing()
    }

    @Test(
        "After a timeout cwnd is one segment, ssthresh half the flight, set once [RFC 5681 §3.1, 5681-4, 2525-2]",
        arguments: Family.allCases)
    func window(family: Family) {
        let peer = ScriptedPeer(family, .steadySegments)
        peer.establish()
        peer.write(10 * peer.mss)
        peer.discard()
        peer.expect(.ack, seq: 1, length: peer.mss, after: .milliseconds(200))
        #expect(peer.status?.congestionWindow == peer.mss)
        #expect(peer.status?.slowStartThreshold == 5 * peer.mss)
        peer.expect(.ack, seq: 1, length: peer.mss, after: .milliseconds(400))
        #expect(peer.status?.slowStartThreshold == 5 * peer.mss)
    }

    @Test(
        "After a timeout all that was lost is sent again in slow start, and nothing twice [RFC 5681 §3.1, RFC 2018 §5]",
        arguments: Family.allCases)
    func goesBack(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        let mss = peer.mss
        peer.write(10 * mss)
        peer.discard()
        peer.received = 1
        peer.expect(.ack, seq: 1, length: mss, after: .milliseconds(200))
        var next = 1
        var rounds: [Int] = [1]
        while next < 1 + 10 * mss, rounds.count < 10 {
            next += rounds.last! * mss
            peer.host.advance(by: .milliseconds(10))
            peer.send(.ack, ack: min(next, 1 + 10 * mss))
            let again = peer.pending
            #expect(again.map(peer.relative) == again.indices.map { next + $0 * mss })
            peer.discard()
            if again.isEmpty { break }
            rounds.append(again.count)
        }
        #expect(rounds.reduce(0, +) == 10, "\(rounds): each segment once more")
        #expect(rounds.prefix(3) == [1, 2, 3] || rounds.prefix(3) == [1, 2, 4], "\(rounds)")
    }

    @Test(
        "A retransmission carries the same octets, and PSH where the queue ends [MUST-61, MAY-4, 2525-4]",
        arguments: Family.allCases)
    func sameOctets(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.write(500)
        let first = peer.expect([.psh, .ack], seq: 1, length: 500)
        let again = peer.expect([.psh, .ack], seq: 1, length: 500, after: .milliseconds(200))
        #expect(first?.payload == again?.payload)
    }

    @Test(
        "Sequence numbers, the timer and the window survive 2^31 and 2^32 [U-1, B-15]", arguments: Family.allCases,
        [UInt32(0xFFFF_FF00), 0x7FFF_FF00])
    func wrap(family: Family, isn: UInt32) {
        var configuration = Configuration()
        configuration.fixedInitialSequence = SequenceNumber(isn)
        let peer = ScriptedPeer(family, configuration, isn: isn)
        peer.establish()
        #expect(peer.stackISN == SequenceNumber(isn))
        peer.write(10 * peer.mss)
        peer.discard()
        peer.expect(.ack, seq: 1, length: peer.mss, after: .milliseconds(200))
        peer.send(.ack, ack: 1 + 10 * peer.mss)
        #expect(peer.status?.unacknowledged == 0)
        for _ in 0..<20 {
            peer.write(1000)
            peer.expect([.psh, .ack], length: 1000)
            peer.send(.ack, length: 700)
            peer.expectRead(700)
        }
        peer.discard()
        peer.close()
        peer.host.advance(by: .milliseconds(500))
        peer.send([.fin, .ack])
        peer.expectState(.timeWait)
    }
}
