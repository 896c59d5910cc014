import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 5961: an attacker off the path, who knows the four-tuple and guesses the rest.
@Suite("Blind guessers")
struct BlindTests {
    /// Guesses in all: of each kind the same number, spread over all 2³² sequence numbers.
    private static let guesses = attacks(1_000_000, debug: 40_000)

    private static let kinds: [(String, TCPFlags, Int)] = [
        ("RST", .rst, 0), ("RST,ACK", [.rst, .ack], 0), ("SYN", .syn, 0), ("SYN,ACK", [.syn, .ack], 0),
        ("ACK", .ack, 0),
        ("data", [.psh, .ack], 100), ("FIN", [.fin, .ack], 0), ("no flag", [], 10),
    ]

    private static func isHit(_ segment: TCPHeader, payload: Int, _ victim: Peer, window: Int) -> Bool {
        // RFC 9293 §3.10.7.4 and RFC 5961: what would be taken from anybody.
        let ahead = segment.sequence.distance(from: victim.next)
        if segment.flags.contains(.rst) { return ahead == 0 }
        let inWindow = ahead > -payload && ahead < window
        let back = victim.received.distance(from: segment.acknowledgment)
        return inWindow && segment.flags.contains(.ack) && back >= 0 && back <= 65_535
    }

    @Test(
        "10⁶ guesses over all sequence numbers end nothing, add no octet, and draw at most 31 challenges a second [B-3, B-4, 5961-1, 5961-2, 5961-3, 5961-4]",
        arguments: Family.allCases)
    func flood(family: Family) {
        let target = Target(family) { $0.recordsStateChanges = true }
        let victim = Peer(target)
        #expect(victim.open())
        var random = Pseudorandom(seed: 5961)
        let kinds = BlindTests.kinds
        let perKind = BlindTests.guesses / kinds.count
        let step = (1 << 32) / perKind
        let start = target.now
        var answers = 0
        var hits = 0
        let window = target.configuration.receiveBuffer
        for guess in 0..<perKind * kinds.count {
            let (_, flags, payload) = kinds[guess % kinds.count]
            let sequence = SequenceNumber(
                UInt32(truncatingIfNeeded: guess / kinds.count * step) &+ UInt32(random.next() % UInt64(step)))
            let segment = victim.segment(
                flags, sequence: sequence, acknowledgment: SequenceNumber(UInt32(truncatingIfNeeded: random.next())))
            if BlindTests.isHit(segment, payload: payload, victim, window: window) { hits += 1 }
            target.deliver(segment, from: victim.endpoint.address, payload: payload)
            target.drain { _ in answers += 1 }
            if guess % 250 == 249 { target.pass(.milliseconds(4)) { _ in answers += 1 } }
        }
        // The seed is one that hits nothing: then nothing at all may come of it.
        #expect(hits == 0)
        let seconds = Int((target.now - start).components.seconds) + 1
        // Segments with octets are answered without the limit, as their sender may be a peer that lost our acknowledgment.
        #expect(Int(target.stack.counters.challengeAcknowledgments) <= 31 * seconds)
        #expect(victim.state == .established)
        #expect(victim.status?.unread == 0)
        #expect(target.stack.memory.buffers == 0 && target.stack.memory.recovery == 0)
        #expect(target.fault == nil)
        // The real peer goes on as if nothing had been.
        victim.send([.psh, .ack], payload: 100)
        #expect(victim.id.map { target.read($0) } == 100)
        print("blind guesses: \(perKind * kinds.count) in \(seconds) s, \(answers) answers, \(family)")
    }

    /// What connection `other` is told in each of `seconds`, while a victim is flooded or left in peace.
    private func answers(_ family: Family, flooded: TCPFlags?, seconds: Int) -> [Int] {
        let target = Target(family)
        let victim = Peer(target)
        let own = Peer(target, number: 3, port: 5000)
        #expect(victim.open() && own.open())
        var counts: [Int] = []
        for _ in 0..<seconds {
            if let flooded {
                // In the window, so that each is worth a challenge.
                for guess in 1...100 {
                    victim.send(flooded, sequence: victim.next + guess * 600)
                    target.drain()
                }
            }
            var count = 0
            for guess in 1...50 {
                own.send(.rst, sequence: own.next + guess)
                target.drain { if $0.destination == own.endpoint { count += 1 } }
            }
            counts.append(count)
            target.pass(.seconds(1))
        }
        #expect(victim.state == .established && own.state == .established)
        return counts
    }

    @Test(
        "An attacker's own connection answers alike in each of 64 s, whether or not another's challenges are used up (CVE-2016-5696) [B-4, 5961-4]",
        arguments: Family.allCases, [TCPFlags.rst, .syn])
    func sideChannel(family: Family, flags: TCPFlags) {
        let quiet = answers(family, flooded: nil, seconds: 64)
        #expect(answers(family, flooded: flags, seconds: 64) == quiet)
        // Nor is the number the same each second, by which one that is missing could be told.
        #expect(Set(quiet).count >= 8 && quiet.allSatisfy { (16...31).contains($0) }, "\(quiet)")
    }

    @Test(
        "A peer that lost its state opens anew by its third SYN while 1,000 guesses a second come in its name [5961-2, MUST-11]",
        arguments: Family.allCases)
    func restartedPeer(family: Family) {
        let target = Target(family)
        let victim = Peer(target)
        #expect(victim.open())
        var random = Pseudorandom(seed: 5962)
        let restarted = SequenceNumber(0x9000_0000)
        var synAck: TCPHeader?
        var arrivals: [(time: Instant, segment: TCPHeader)] = []
        var syns = [0, 1_000, 3_000, 7_000, 15_000, 31_000].map { target.now + .milliseconds($0) }
        let start = target.now
        var sent = 0
        while synAck == nil, target.now < start + .seconds(32) {
            let (_, flags, payload) = BlindTests.kinds[Int(random.next() % UInt64(BlindTests.kinds.count))]
            target.deliver(
                victim.segment(
                    flags, sequence: SequenceNumber(UInt32(truncatingIfNeeded: random.next())),
                    acknowledgment: SequenceNumber(UInt32(truncatingIfNeeded: random.next()))),
                from: victim.endpoint.address, payload: payload)
            if let next = syns.first, next <= target.now {
                syns.removeFirst()
                sent += 1
                victim.send(.syn, sequence: restarted)
            }
            while let first = arrivals.first, first.time <= target.now {
                arrivals.removeFirst()
                // RFC 9293 §3.10.7.3: SYN-SENT.
                if first.segment.flags == [.syn, .ack], first.segment.acknowledgment == restarted + 1 {
                    synAck = first.segment
                } else if first.segment.flags.contains(.ack), !first.segment.flags.contains(.rst) {
                    victim.send(.rst, sequence: first.segment.acknowledgment)
                }
            }
            // Ten milliseconds there, ten back.
            target.pass(.milliseconds(1)) { answer in
                guard answer.destination == victim.endpoint else { return }
                arrivals.append((target.now + .milliseconds(20), answer.tcp))
            }
        }
        #expect(synAck != nil && sent <= 3, "\(sent) SYNs")
        #expect(target.fault == nil)
    }

    @Test(
        "Guesses do not keep a dead peer's connection: keep-alive ends it in its time whatever comes in its name [MUST-26, RFC 5961 §5]",
        arguments: Family.allCases)
    func keepAlive(family: Family) {
        let target = Target(family)
        let victim = Peer(target)
        #expect(victim.open())
        var options = ConnectionOptions()
        options.keepAliveIdle = .seconds(60)
        options.keepAliveInterval = .seconds(10)
        options.keepAliveProbes = 3
        if let id = victim.id { target.stack.setOptions(id, options, at: target.now) }
        var random = Pseudorandom(seed: 1122)
        let start = target.now
        while victim.state == .established, target.now < start + .seconds(1000) {
            for _ in 0..<10 {
                // In the window, with an acknowledgment out of the blue.
                victim.send(
                    .ack, sequence: victim.next + Int(random.next() % 60_000),
                    acknowledgment: victim.received + Int(1_000_000 + random.next() % 1_000_000_000), payload: 10)
            }
            target.pass(.seconds(1))
        }
        #expect(target.now - start <= .seconds(60 + 3 * 10 + 1), "\(target.now - start)")
        #expect(victim.status?.error == .timedOut)
    }
}
