import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 7323 §3 to §5: timestamps and PAWS.
@Suite("Timestamps")
struct TimestampTests {
    private func established(_ family: Family, role: Role = .passive, sack: Bool = false) -> ScriptedPeer {
        let peer = ScriptedPeer(family, offer: ScriptedPeer.Offer(sack: sack, timestamps: true))
        peer.establish(role)
        return peer
    }

    private func stamp(_ peer: ScriptedPeer, _ value: UInt32) -> [WireOption] {
        [.nop, .nop, .timestamps(value, echo: peer.lastTimestamp)]
    }

    @Test(
        "TSecr is zero on a SYN and the echo of TSval on everything after [RFC 7323 §3.2, 7323-8]",
        arguments: Family.allCases)
    func echo(family: Family) {
        let active = ScriptedPeer(family, offer: .timestamps)
        active.connect()
        #expect(active.expect(.syn)?.tcp.options.timestamps?.echo == 0)
        let passive = ScriptedPeer(family, offer: .timestamps)
        passive.listen()
        passive.send(.syn, options: [.mss(1460), .nop, .nop, .timestamps(12345, echo: 999)])
        #expect(passive.expect([.syn, .ack])?.tcp.options.timestamps?.echo == 12345)
    }

    @Test(
        "Every segment carries timestamps once both SYNs did [RFC 7323 §3.2, 7323-6]", arguments: Family.allCases,
        Role.allCases
    )
    func everySegment(family: Family, role: Role) {
        let peer = established(family, role: role)
        #expect(peer.usesTimestamps)
        peer.write(5000)
        peer.send(length: 100)
        peer.host.advance(by: .seconds(1))
        peer.close()
        peer.host.advance(by: .seconds(1))
        // The ledger holds each segment against the rule.
        #expect(peer.history.count > 6)
        #expect(peer.history.allSatisfy { $0.tcp.options.timestamps != nil })
    }

    @Test("A reset of ours carries timestamps too, as it should [RFC 7323 §3.2, 7323-6]", arguments: Family.allCases)
    func reset(family: Family) {
        let peer = established(family)
        peer.abort()
        #expect(peer.pending.first?.flags.contains(.rst) == true)
        #expect(peer.pending.first?.tcp.options.timestamps != nil)
    }

    @Test(
        "Delayed acknowledgments echo the earliest segment not acknowledged yet [RFC 7323 §4.3 A, 7323-9]",
        arguments: Family.allCases)
    func delayed(family: Family) {
        let peer = established(family)
        // A large segment first, so that three small ones are not two full ones.
        peer.send(length: 1000)
        peer.host.advance(by: .milliseconds(50))
        peer.discard()
        let base = peer.timestamp
        for index in UInt32(1)...3 { peer.send(length: 10, options: stamp(peer, base + index)) }
        let ack = peer.expect(.ack, ack: 1031, within: .milliseconds(500))
        #expect(ack?.tcp.options.timestamps?.echo == base + 1)
    }

    @Test(
        "Past a gap the last segment in order is echoed; the one that fills it is echoed [RFC 7323 §4.3 B, C, 7323-9]",
        arguments: Family.allCases)
    func gap(family: Family) {
        let peer = established(family)
        let base = peer.timestamp
        func send(_ block: Int, _ value: UInt32, echo: UInt32, ack: Int) {
            peer.send(seq: 1 + block * 100, length: 100, options: stamp(peer, base + value))
            let answer = peer.expect(.ack, ack: ack, within: .milliseconds(100))
            #expect(answer?.tcp.options.timestamps?.echo == base + echo)
        }
        send(0, 1, echo: 1, ack: 101)  // A
        send(2, 3, echo: 1, ack: 101)  // C
        send(1, 2, echo: 2, ack: 301)  // B
        send(4, 5, echo: 2, ack: 301)  // E
        send(3, 4, echo: 4, ack: 501)  // D
    }

    @Test(
        "A segment whose TSval is older than TS.Recent is answered by an ACK and dropped: PAWS [RFC 7323 §5.3, 7323-10]",
        arguments: Family.allCases)
    func paws(family: Family) {
        let peer = established(family)
        let now = peer.timestamp
        peer.send(length: 10, options: stamp(peer, now + 100))
        peer.host.advance(by: .milliseconds(100))
        peer.discard()
        peer.send(seq: 11, length: 10, options: stamp(peer, now + 99))
        peer.expect(.ack, seq: 1, ack: 11)
        peer.send([.fin, .ack], seq: 11, options: stamp(peer, now - 1000))
        peer.expect(.ack, seq: 1, ack: 11)
        peer.expectState(.established)
        peer.expectRead(10)
        // The same TSval again is not older.
        peer.next = 11
        peer.send(length: 10, options: stamp(peer, now + 100))
        peer.expectRead(10)
    }

    @Test("PAWS compares modulo 2^32 [RFC 7323 §5.2, 7323-10]", arguments: Family.allCases)
    func pawsWraps(family: Family) {
        let peer = ScriptedPeer(family, offer: .timestamps)
        peer.timestampBase = 0xFFFF_FFF0 &- 1000
        peer.establish()
        peer.send(length: 10, options: stamp(peer, 0xFFFF_FFFF))
        peer.send(length: 10, options: stamp(peer, 5))
        peer.expectRead(20)
        peer.discard()
        peer.send(seq: 21, length: 10, options: stamp(peer, 0xFFFF_FFF0))
        peer.expect(.ack, ack: 21)
        peer.expectRead(.wouldBlock)
    }

    @Test("PAWS does not apply to a RST [RFC 7323 §5.2, 7323-10]", arguments: Family.allCases)
    func pawsExemptsReset(family: Family) {
        let peer = established(family)
        peer.send(.rst, options: stamp(peer, 1))
        peer.expectState(.closed)
        #expect(peer.status?.error == .reset)
    }

    @Test("A RST without timestamps counts all the same [RFC 7323 §3.2]", arguments: Family.allCases)
    func resetWithout(family: Family) {
        let peer = established(family)
        peer.send(.rst, options: [])
        peer.expectState(.closed)
    }

    @Test("A SYN with an old TSval gets its challenge ACK [RFC 7323 §5.3, U-30, 7323-10]", arguments: Family.allCases)
    func synInEstablished(family: Family) {
        let peer = established(family)
        peer.send(.syn, seq: 5000, options: [.mss(1460), .nop, .nop, .timestamps(1, echo: 0)])
        peer.expect(.ack, seq: 1, ack: 1)
        peer.expectState(.established)
    }

    @Test(
        "After more than 24 days of silence TS.Recent is not believed any more [RFC 7323 §5.5, B-23, 7323-11]",
        arguments: Family.allCases)
    func idle(family: Family) {
        let peer = established(family)
        let old = peer.timestamp
        peer.host.advance(by: .seconds(25 * 86_400))
        // 25 days on, with a clock of 1 ms, the value looks older than the last one.
        let value = old &+ UInt32(25 * 86_400_000)
        #expect(Int32(bitPattern: value &- old) < 0)
        peer.send(length: 10, options: stamp(peer, value))
        peer.expectRead(10)
        // And is believed from now on.
        peer.host.advance(by: .milliseconds(100))
        peer.discard()
        peer.send(seq: 11, length: 10, options: stamp(peer, value &- 10))
        peer.expect(.ack, ack: 11)
        peer.expectRead(.wouldBlock)
    }

    @Test("A segment that is not acceptable leaves TS.Recent alone [RFC 7323 §5.3, B-23]", arguments: Family.allCases)
    func notPoisoned(family: Family) {
        let peer = established(family)
        let future = peer.timestamp &+ 0x4000_0000
        peer.send(seq: 200_000, length: 10, options: stamp(peer, future))
        peer.expect(.ack, ack: 1)
        peer.send(seq: -500, length: 10, options: stamp(peer, future))
        peer.expect(.ack, ack: 1)
        peer.send(.ack, seq: 1, ack: 50_000, options: stamp(peer, future))
        peer.expect(.ack, ack: 1)
        peer.send(length: 10)
        peer.expectRead(10)
    }

    @Test("A segment past a gap leaves TS.Recent alone [RFC 7323 §4.3, 7323-9]", arguments: Family.allCases)
    func futureNotTaken(family: Family) {
        let peer = established(family)
        let value = peer.timestamp
        peer.send(seq: 101, length: 10, options: stamp(peer, value + 1000))
        let answer = peer.expect(.ack, ack: 1)
        #expect(answer?.tcp.options.timestamps?.echo != value + 1000)
        peer.send(seq: 1, length: 100, options: stamp(peer, value + 1))
        peer.expectRead(110)
    }

    @Test(
        "A segment without the timestamps that were agreed never ends the connection [RFC 7323 §3.2, B-22, 7323-7]",
        arguments: Family.allCases)
    func missing(family: Family) {
        let peer = established(family)
        peer.send(seq: 1, length: 10, options: [])
        peer.send(.ack, seq: 0, options: [])
        peer.expectState(.established)
        peer.discard()
        peer.next = 1
        peer.send(length: 20)
        peer.expectRead(20)
        peer.write(10)
        #expect(peer.pending.contains { $0.length == 10 })
    }

    @Test("A keep-alive of the peer without timestamps is answered [B-22]", arguments: Family.allCases)
    func keepAliveWithout(family: Family) {
        let peer = established(family)
        peer.send(.ack, seq: 0, options: [])
        peer.expect(.ack, seq: 1, ack: 1)
    }

    @Test(
        "Timestamps on a connection that did not agree on them are ignored [RFC 7323 §3.2]", arguments: Family.allCases)
    func notAgreed(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.send(length: 10, options: stamp(peer, 5000))
        peer.send(length: 10, options: stamp(peer, 1))
        peer.expectRead(20)
    }

    @Test(
        "The clock ticks once a millisecond, never back, and wraps without harm [RFC 7323 §5.4, 7323-12]",
        arguments: Family.allCases)
    func clock(family: Family) {
        let peer = established(family)
        peer.write(10)
        let first = peer.expect([.psh, .ack], length: 10)?.tcp.options.timestamps?.value ?? 0
        peer.send(.ack)
        peer.host.advance(by: .milliseconds(12_345))
        peer.write(10)
        let second = peer.expect([.psh, .ack], length: 10)?.tcp.options.timestamps?.value ?? 0
        #expect(second &- first == 12_345)
        peer.send(.ack)
        // 2^32 ms of silence.
        peer.host.advance(by: .milliseconds(Int64(1) << 32))
        peer.write(10)
        let third = peer.expect([.psh, .ack], length: 10)?.tcp.options.timestamps?.value ?? 0
        #expect(third == second)
        peer.send(.ack)
        #expect(peer.status?.unacknowledged == 0)
    }

    @Test("The clocks of two connections are unrelated [RFC 7323 §7.1, 7323-12]", arguments: Family.allCases)
    func offsets(family: Family) {
        let host = VirtualHost(families: [family])
        let values = (0..<8).map { index in
            let peer = ScriptedPeer(family, host: host, number: 2 + index, offer: .timestamps)
            peer.connect()
            return peer.expect(.syn)?.tcp.options.timestamps?.value ?? 0
        }
        #expect(Set(values).count == 8)
        for index in 1..<8 {
            let distance = Int64(Int32(bitPattern: values[index] &- values[index - 1]))
            #expect(abs(distance) > 10_000, "offsets of neighbours are close")
        }
    }

    @Test(
        "Round trips are measured with timestamps though the segment was sent twice [MUST-18, RFC 7323 §4.1, 6298-4]",
        arguments: Family.allCases)
    func measuresRetransmitted(family: Family) {
        let peer = established(family)
        let before = peer.status?.smoothedRTT ?? .zero
        peer.write(10)
        peer.expect([.psh, .ack], length: 10)
        peer.expect([.psh, .ack], length: 10, after: .milliseconds(200))
        let echoed = peer.lastTimestamp
        peer.host.advance(by: .milliseconds(50))
        peer.send(.ack, ack: 11, options: [.nop, .nop, .timestamps(peer.timestamp, echo: echoed)])
        let after = peer.status?.smoothedRTT ?? .zero
        // One sample of about 50 ms moves 10 ms by an eighth of the difference.
        #expect(after > before && after < .milliseconds(60), "\(before) to \(after)")
    }

    @Test(
        "A hundred samples in one round trip move the estimate about as one does [RFC 7323 §4.1, appendix G, 7323-13]",
        arguments: Family.allCases)
    func manySamples(family: Family) {
        let peer = established(family, sack: true)
        // Open the congestion window first.
        for _ in 0..<6 {
            peer.write(200_000)
            peer.discard()
            peer.host.advance(by: .milliseconds(10))
            peer.send(.ack)
        }
        peer.discard()
        peer.host.advance(by: .milliseconds(10))
        peer.send(.ack)
        let before = peer.status?.smoothedRTT ?? .zero
        let first = peer.offeredEdge - 65_535
        let sent = peer.received
        peer.host.advance(by: .milliseconds(100))
        // 100 ACKs for one flight, each a sample of about 100 ms: something came early, which makes timestamps count.
        let stamps = peer.pending.last?.tcp.options.timestamps?.value ?? peer.lastTimestamp
        peer.sendSACK(ack: first, [sent - 100..<sent])
        for step in 1...100 {
            let ack = first + (sent - first) * step / 100
            peer.send(.ack, ack: ack, options: [.nop, .nop, .timestamps(peer.timestamp, echo: stamps)])
        }
        let after = peer.status?.smoothedRTT ?? .zero
        #expect(after > before)
        #expect(
            after < before + .milliseconds(60),
            "\(before) to \(after): one round trip cannot make up the whole estimate")
    }
}
