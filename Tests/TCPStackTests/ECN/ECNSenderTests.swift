import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 3168 §6.1.2: what the end that hears of marks does about them.
@Suite("A sender that hears of marks slows down, once for a window of data")
struct ECNSenderTests {
    /// A connection with ten full segments in flight, the initial window, and as much to send as anybody wants.
    private func flight(
        _ family: Family = .ipv4, sack: Bool = true, control: CongestionControl = .newReno
    ) -> MarkedPath {
        let path = MarkedPath(family, control: control, offer: ScriptedPeer.Offer(mss: 1000, sack: sack))
        path.connect()
        path.peer.discard()
        path.peer.write(100_000)
        return path
    }

    private func window(_ path: MarkedPath) -> Int { path.peer.status?.congestionWindow ?? 0 }
    private func reductions(_ path: MarkedPath) -> UInt64 { path.peer.host.stack.counters.reductionsByMarks }

    @Test("New data leaves with ECT(0) [RFC 3168 §6.1.2, 3168-2]", arguments: Family.allCases)
    func capable(family: Family) {
        let sent = flight(family).take()
        #expect(sent.count == 10)
        #expect(sent.allSatisfy { $0.codepoint == .capable0 && $0.ecnFlags == [] })
    }

    @Test(
        "ECE brings the window down once for a flight, and the first new segment alone has CWR [RFC 3168 §6.1.2, 3168-3]",
        arguments: [true, false])
    func once(sack: Bool) {
        let path = flight(sack: sack)
        path.peer.discard()
        for end in stride(from: 1001, through: 10001, by: 1000) { path.peer.send([.ack, .ece], ack: end) }
        let sent = path.take()
        // Half of it, a segment for every two (RFC 9937).
        #expect(sent.count == 5)
        #expect(sent.map(\.ecnFlags) == [.cwr, [], [], [], []])
        #expect(sent.allSatisfy { $0.codepoint == .capable0 })
        #expect(window(path) == 5000 && reductions(path) == 1)
        let counters = path.peer.host.stack.counters
        #expect(counters.reductionsTold == 1 && counters.congestionEchoesReceived == 10)
        #expect(path.peer.status?.retransmittedSegments == 0)
    }

    @Test("Once what followed is acknowledged, ECE brings it down again [RFC 3168 §6.1.2, 3168-3]")
    func again() {
        let path = flight()
        for end in stride(from: 1001, through: 10001, by: 1000) { path.peer.send([.ack, .ece], ack: end) }
        path.peer.discard()
        // The segment with CWR lies at 10001.
        path.peer.send([.ack, .ece], ack: 11001)
        #expect(reductions(path) == 2)
        #expect(path.take().map(\.ecnFlags).contains(.cwr))
    }

    @Test("Once ECE is gone the window grows again [RFC 3168 §6.1.2]")
    func growsAgain() {
        let path = flight()
        for end in stride(from: 1001, through: 10001, by: 1000) { path.peer.send([.ack, .ece], ack: end) }
        for end in stride(from: 11001, through: 31001, by: 1000) { path.peer.send(.ack, ack: end) }
        #expect(window(path) > 6000 && reductions(path) == 1)
    }

    @Test("ECE with an acknowledgment that cannot be, or with nothing in flight, does nothing [RFC 5961 §5]")
    func pointless() {
        let path = flight()
        path.peer.send([.ack, .ece], ack: 1 << 24)
        #expect(reductions(path) == 0)
        let idle = MarkedPath()
        idle.connect()
        idle.peer.send([.ack, .ece])
        #expect(reductions(idle) == 0 && window(idle) == 10_000)
    }

    @Test("While a loss is repaired ECE brings nothing down, and CWR tells of that reduction [RFC 3168 §6.1.2, 3168-3]")
    func inRecovery() {
        let path = flight()
        path.peer.discard()
        path.peer.sendSACK(ack: 1, [1001..<5001])
        let sent = path.take()
        #expect(sent.first.map { path.peer.relative($0) } == 1)
        // RFC 3168 §6.1.5: a retransmission has no ECT, and no CWR.
        #expect(sent.first?.codepoint == .notCapable && sent.first?.ecnFlags == [])
        for end in stride(from: 5001, through: 10001, by: 1000) { path.peer.send([.ack, .ece], ack: end) }
        #expect(reductions(path) == 0)
        let later = path.take()
        #expect(later.filter { $0.flags.contains(.cwr) }.count + sent.filter { $0.flags.contains(.cwr) }.count == 1)
        #expect(window(path) >= 5000)
    }

    @Test("A loss among what was marked is repaired without a second reduction [RFC 3168 §6.1.2, 3168-3]")
    func lossInside() {
        let path = flight()
        path.peer.send([.ack, .ece], ack: 1001)
        path.peer.discard()
        let stamps: [WireOption] = [.nop, .nop, .sack([2001..<6001])]
        path.peer.send([.ack, .ece], ack: 1001, options: stamps)
        #expect(path.take().contains { path.peer.relative($0) == 1001 && $0.codepoint == .notCapable })
        path.peer.send([.ack, .ece], ack: 10001)
        #expect(reductions(path) == 1 && window(path) == 5000)
    }

    @Test("After a timeout the first new segment has CWR; what is sent again has neither that nor ECT [3168-2, 3168-3]")
    func afterTimeout() {
        let path = flight()
        path.peer.discard()
        path.peer.host.advance(by: .milliseconds(900))
        let again = path.take().filter { path.peer.relative($0) < 10001 }
        #expect(!again.isEmpty)
        #expect(again.allSatisfy { $0.codepoint == .notCapable && $0.ecnFlags == [] })
        path.peer.send([.ack, .ece], ack: path.peer.received)
        #expect(reductions(path) == 0)
        let new = path.take()
        #expect(new.first?.ecnFlags == .cwr && new.dropFirst().allSatisfy { $0.ecnFlags == [] })
    }

    @Test("Acknowledgments, window probes, a FIN alone and keep-alives have no ECT [RFC 3168 §6.1.4, §6.1.6, 3168-2]")
    func plain() {
        var options = ConnectionOptions()
        options.keepAliveIdle = .seconds(10)
        let path = MarkedPath()
        path.connect(options: options)
        #expect(path.take().allSatisfy { $0.codepoint == .notCapable })
        path.peer.host.advance(by: .seconds(11))
        let alive = path.take()
        #expect(!alive.isEmpty && alive.allSatisfy { $0.codepoint == .notCapable })
        path.peer.send(.ack, window: 0)
        path.peer.write(10)
        path.peer.host.advance(by: .seconds(1))
        let probes = path.take()
        #expect(!probes.isEmpty && probes.allSatisfy { $0.codepoint == .notCapable && $0.length <= 1 })
        path.peer.send(.ack, ack: 1, window: 65535)
        path.peer.discard()
        path.peer.send(.ack, ack: 11)
        path.peer.close()
        let fin = path.take()
        #expect(fin.count == 1 && fin[0].flags.contains(.fin) && fin[0].codepoint == .notCapable)
    }

    @Test("A window that cannot come down further waits for the timer instead [RFC 3168 §6.1.2, 3168-13]")
    func smallest() {
        let path = flight()
        var rounds = 0
        // A window that is marked each round trip does not grow in between.
        while window(path) > 2000, rounds < 12 {
            path.peer.send([.ack, .ece], ack: path.peer.received)
            rounds += 1
        }
        #expect(rounds < 12, "the window is still \(window(path)) octets")
        path.peer.discard()
        path.peer.send([.ack, .ece], ack: path.peer.received)
        path.peer.expectNothing(for: .milliseconds(190))
        path.peer.expect(.ack.union(.cwr), length: 1000, within: .milliseconds(50))
    }

    @Test("CUBIC comes down by a mark as well, BBR hears of it, each once [RFC 9438 §4.6, 3168-3]")
    func others() {
        for control in [CongestionControl.cubic, .bbr] {
            let path = flight(control: control)
            path.peer.discard()
            let before = window(path)
            for end in stride(from: 1001, through: 10001, by: 1000) { path.peer.send([.ack, .ece], ack: end) }
            path.peer.host.advance(by: .milliseconds(20))
            #expect(reductions(path) == 1, "\(control)")
            #expect(path.take().filter { $0.flags.contains(.cwr) }.count == 1, "\(control)")
            if control == .cubic { #expect(window(path) < before) }
        }
    }

    @Test("A super-segment does not repeat CWR: the segment that has it leaves alone [RFC 3168 §6.1.2, 3168-3]")
    func superSegment() {
        let path = MarkedPath {
            $0.superSegments = true
            $0.checksumOffload = true
        }
        path.peer.checksLedger = false
        path.connect()
        path.peer.discard()
        path.peer.write(100_000)
        path.peer.discard()
        path.peer.send([.ack, .ece], ack: 10001)
        let sent = path.take()
        #expect(sent.filter { $0.flags.contains(.cwr) }.map(\.length) == [1000])
        #expect(sent.allSatisfy { $0.codepoint == .capable0 })
    }
}
