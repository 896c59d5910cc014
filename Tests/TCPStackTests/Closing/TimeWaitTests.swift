import TCPEngine
import TCPStack
import TCPWire
import Testing

/// TIME-WAIT: how long, what it answers, what takes it away (RFC 9293 §3.6.1, §3.10.7.4).
@Suite("TIME-WAIT")
struct TimeWaitTests {
    private func waiting(_ family: Family, msl: Duration = .seconds(30), role: Role = .passive) -> ScriptedPeer {
        var configuration = Configuration()
        configuration.maximumSegmentLifetime = msl
        let peer = ScriptedPeer(family, configuration)
        peer.enter(.timeWait, role)
        return peer
    }

    @Test(
        "It lasts twice the MSL: there just before, gone just after [MUST-13, seed 44, B-25]",
        arguments: Family.allCases, [1, 30, 120])
    func duration(family: Family, msl: Int) {
        let peer = waiting(family, msl: .seconds(msl))
        peer.host.advance(by: .seconds(2 * msl) - .milliseconds(1))
        peer.expectState(.timeWait)
        #expect(peer.host.stack.memory.timeWaitCount == 1)
        peer.host.advance(by: .milliseconds(4))
        #expect(peer.host.stack.memory.timeWaitCount == 0)
        peer.expectNothing()
        #expect(peer.path.last == .closed)
    }

    @Test(
        "The connection is small from here on, and its program may still read [rule 4, U-20]",
        arguments: Family.allCases)
    func small(family: Family) {
        let peer = waiting(family)
        #expect(peer.host.stack.memory.timeWaitCount == 1)
        #expect(peer.host.stack.memory.buffers == 0)
        peer.release()
        #expect(peer.host.stack.memory.connectionCount == 0)
        peer.expectState(.timeWait)
    }

    @Test("A repeated FIN is acknowledged again and restarts 2 MSL [U-37, MUST-13]", arguments: Family.allCases)
    func restarted(family: Family) {
        let peer = waiting(family)
        peer.host.advance(by: .seconds(57))
        peer.send([.fin, .ack], seq: 1, ack: 2)
        peer.expect(.ack, seq: 2, ack: 2)
        peer.host.advance(by: .seconds(60) - .milliseconds(1))
        peer.expectState(.timeWait)
        peer.host.advance(by: .milliseconds(4))
        #expect(peer.host.stack.memory.timeWaitCount == 0)
    }

    @Test(
        "An ACK of what was never sent, or of what lies too far back, is answered with an ACK and changes nothing [U-35, 5961-3]",
        arguments: Family.allCases)
    func unacceptableAcknowledgment(family: Family) {
        let peer = waiting(family)
        for number in [3, 1 << 29, 1 - (1 << 30)] {
            peer.send(.ack, seq: 2, ack: number)
            peer.expect(.ack, seq: 2, ack: 2)
        }
        // One at its place says nothing, nor does one that is old.
        for number in [2, 1, 2 - (1 << 29)] {
            peer.send(.ack, seq: 2, ack: number)
            peer.expectNothing()
        }
        peer.expectState(.timeWait)
    }

    @Test(
        "Other segments do not restart it: old data is acknowledged and dropped [U-40, U-11]",
        arguments: Family.allCases)
    func notRestarted(family: Family) {
        let peer = waiting(family)
        peer.host.advance(by: .seconds(57))
        peer.send(seq: -100, ack: 2, length: 50)
        peer.expect(.ack, seq: 2, ack: 2)
        peer.send(seq: 2, ack: 2)
        peer.discard()
        peer.host.advance(by: .seconds(3) + .milliseconds(3))
        #expect(peer.host.stack.memory.timeWaitCount == 0)
    }

    @Test("An exact RST ends it; a lost one or a forged one does not [U-13, §3.10.7.4]", arguments: Family.allCases)
    func reset(family: Family) {
        let peer = waiting(family)
        peer.send(.rst, seq: 1)
        peer.send(.rst, seq: 100_000)
        peer.expectNothing()
        peer.expectState(.timeWait)
        peer.send(.rst, seq: 2)
        peer.expectNothing()
        #expect(peer.host.stack.memory.timeWaitCount == 0)
    }

    @Test(
        "No other timer runs in TIME-WAIT: no keep-alive, no retransmission, no delayed ACK [U-41, B-25]",
        arguments: Family.allCases)
    func noTimers(family: Family) {
        let peer = ScriptedPeer(family)
        var options = ConnectionOptions()
        options.keepAliveIdle = .seconds(1)
        options.keepAliveInterval = .seconds(1)
        peer.establish(options: options)
        peer.close()
        peer.expect([.fin, .ack])
        peer.send([.fin, .ack], ack: 2)
        peer.expect(.ack)
        peer.expectState(.timeWait)
        peer.expectNothing(for: .seconds(59))
        peer.expectState(.timeWait)
        peer.expectNothing(for: .seconds(600))
    }

    @Test(
        "Its entries end when the clock passes 2^31 and 2^32 milliseconds [B-24]",
        arguments: [Int64(1) << 31, Int64(1) << 32])
    func clockWrap(milliseconds: Int64) {
        let start = Instant(nanoseconds: (milliseconds - 20_000) * 1_000_000)
        let host = VirtualHost(at: start)
        let peer = ScriptedPeer(.ipv4, host: host, offer: .timestamps)
        peer.enter(.timeWait)
        host.advance(by: .seconds(59))
        #expect(host.stack.memory.timeWaitCount == 1)
        host.advance(by: .seconds(2))
        #expect(host.stack.memory.timeWaitCount == 0)
        let next = ScriptedPeer(.ipv4, host: host, port: 4001, offer: .timestamps)
        next.establish(.active)
        next.write(100)
        next.expect([.psh, .ack], length: 100)
        next.expect([.psh, .ack], length: 100, after: .milliseconds(200))
    }

    @Test("Both roles of the close and of the open reach it [MUST-13]", arguments: Family.allCases, Role.allCases)
    func roles(family: Family, role: Role) {
        let peer = waiting(family, role: role)
        peer.host.advance(by: .seconds(61))
        #expect(peer.host.stack.memory.timeWaitCount == 0)
    }
}

/// RFC 6191 §2: which SYN may end TIME-WAIT.
@Suite("TIME-WAIT reused by RFC 6191")
struct TimeWaitReuseTests {
    /// A row of the table. TSval counts from the last one of the old incarnation, the sequence number from its FIN.
    struct Row: Sendable, CustomTestStringConvertible {
        var hadTimestamps: Bool
        /// TSval of the SYN against the last of the old connection; nil: no option.
        var timestamp: Int?
        /// SEQ of the SYN against that of the old connection's FIN.
        var sequence: Int
        var isHonoured: Bool

        var testDescription: String {
            "had TS: \(hadTimestamps), SYN TSval: \(timestamp.map { "\($0)" } ?? "none"), SEQ: \(sequence)"
        }
    }

    static let rows: [Row] = [
        Row(hadTimestamps: true, timestamp: 1, sequence: 1, isHonoured: true),
        Row(hadTimestamps: true, timestamp: 1, sequence: -1000, isHonoured: true),
        Row(hadTimestamps: true, timestamp: 1, sequence: 0, isHonoured: true),
        Row(hadTimestamps: true, timestamp: 0, sequence: 1, isHonoured: true),
        Row(hadTimestamps: true, timestamp: 0, sequence: 0, isHonoured: false),
        Row(hadTimestamps: true, timestamp: 0, sequence: -1, isHonoured: false),
        Row(hadTimestamps: true, timestamp: -1, sequence: 1, isHonoured: false),
        Row(hadTimestamps: true, timestamp: -1000, sequence: 1000, isHonoured: false),
        Row(hadTimestamps: true, timestamp: nil, sequence: 1, isHonoured: true),
        Row(hadTimestamps: true, timestamp: nil, sequence: 0, isHonoured: false),
        Row(hadTimestamps: true, timestamp: nil, sequence: -1, isHonoured: false),
        Row(hadTimestamps: false, timestamp: 1, sequence: 1, isHonoured: true),
        Row(hadTimestamps: false, timestamp: 1, sequence: -1000, isHonoured: true),
        Row(hadTimestamps: false, timestamp: nil, sequence: 1, isHonoured: true),
        Row(hadTimestamps: false, timestamp: nil, sequence: 0, isHonoured: false),
        Row(hadTimestamps: false, timestamp: nil, sequence: -1, isHonoured: false),
    ]

    @Test(
        "Each row of the table: honoured with SYN,ACK, or TIME-WAIT stays [SHLD-4, MAY-2, RFC 6191 §2, 5482-2]",
        arguments: Family.allCases, rows)
    func table(family: Family, row: Row) {
        let peer = ScriptedPeer(family, offer: row.hadTimestamps ? .timestamps : .plain)
        peer.enter(.timeWait)
        let lastTimestamp = peer.timestamp
        let oldFin = peer.stackISN.map { $0 + 1 }
        let finSequence = 1
        peer.host.advance(by: .seconds(5))
        peer.checksLedger = false
        let seq = finSequence + row.sequence
        var options: [WireOption] = [.mss(1460)]
        if let offset = row.timestamp {
            options += [.nop, .nop, .timestamps(lastTimestamp &+ UInt32(truncatingIfNeeded: offset), echo: 0)]
        }
        peer.send(.syn, seq: seq, options: options)
        if row.isHonoured {
            guard let answer = peer.expect([.syn, .ack], ack: seq + 1) else { return }
            // RFC 9293 MAY-2: the new ISS is larger than the largest number the old incarnation used.
            if let oldFin { #expect(answer.tcp.sequence > oldFin) }
            #expect((answer.tcp.options.timestamps != nil) == (row.timestamp != nil))
            peer.stackISN = answer.tcp.sequence
            peer.send(.ack, seq: seq + 1, ack: 1, options: row.timestamp == nil ? [] : nil)
            peer.accept()
            peer.expectState(.established)
        } else {
            for segment in peer.pending { #expect(segment.flags == .ack, "\(peer.text(segment))") }
            #expect(peer.host.stack.memory.timeWaitCount == 1)
            #expect(peer.host.stack.memory.halfOpenCount == 0)
        }
    }

    @Test(
        "connect may reuse a four-tuple in TIME-WAIT only with a larger ISN, and never disturbs it otherwise [MAY-2, RFC 6056]",
        arguments: Family.allCases)
    func ephemeralAvoidsTimeWait(family: Family) throws {
        let peer = ScriptedPeer(family)
        peer.enter(.timeWait, .active)
        let used = peer.target.port
        for _ in 0..<50 {
            _ = try peer.host.stack.connect(to: peer.endpoint, at: peer.host.now)
            peer.host.settle()
        }
        let ports = peer.history.filter { $0.flags == .syn }.map(\.source.port)
        #expect(ports.filter { $0 == used }.count == 1, "a live tuple is not chosen again")
        #expect(peer.host.stack.memory.timeWaitCount == 1)
    }

    @Test(
        "A FIN with a timestamp older than the last is answered, but starts nothing over: PAWS [U-37, RFC 7323 §5.3, 7323-10]",
        arguments: Family.allCases)
    func oldFin(family: Family) {
        let peer = ScriptedPeer(family, offer: .timestamps)
        peer.enter(.timeWait)
        peer.host.advance(by: .seconds(40))
        let old = peer.timestamp - 50_000
        peer.send([.fin, .ack], seq: 1, ack: 2, options: [.nop, .nop, .timestamps(old, echo: peer.lastTimestamp)])
        peer.expect(.ack, seq: 2, ack: 2)
        peer.host.advance(by: .seconds(20) + .milliseconds(4))
        #expect(peer.host.stack.memory.timeWaitCount == 0)
    }

    @Test(
        "TIME-WAIT ends however late the device is: by a second, four days, or four weeks [B-24]",
        arguments: [1, 345_600, 2_419_200])
    func late(seconds: Int) {
        let peer = ScriptedPeer(.ipv4)
        peer.enter(.timeWait)
        #expect(peer.host.stack.memory.timeWaitCount == 1)
        peer.host.sleep(.seconds(60 + seconds))
        peer.host.advance(by: .zero)
        #expect(peer.host.stack.memory.timeWaitCount == 0 && peer.host.stack.audit() == nil)
    }
}
