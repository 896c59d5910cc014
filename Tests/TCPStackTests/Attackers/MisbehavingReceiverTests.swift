import TCPEngine
import TCPStack
import TCPWire
import Testing

/// A receiver that lies to be sent more (Savage et al. 1999, Sherwood et al. 2005): it divides its acknowledgments, sends
/// them early, repeats them, reports what it does not hold. What it is sent is weighed against an honest one's, which
/// acknowledges each segment as it comes.
@Suite("Misbehaving receivers")
struct MisbehavingReceiverTests {
    /// What a receiver knows when it acknowledges: the segments of the last round, in order.
    struct Round {
        var segments: [(start: SequenceNumber, length: Int)] = []
        var end: SequenceNumber { segments.last.map { $0.start + $0.length } ?? SequenceNumber(0) }
    }

    /// Octets sent in `rounds` round trips of 100 ms to a receiver that does `acknowledge` once a round.
    private func sent(
        _ family: Family, sack: Bool = false, rounds: Int = 6, trip: Duration = .milliseconds(100),
        _ acknowledge: (Peer, Round) -> Void
    ) -> Int {
        let target = Target(family) { $0.sendBuffer = 16 << 20 }
        let peer = Peer(target)
        guard peer.open(sack: sack, scale: 10), let id = peer.id else {
            Issue.record("the peer does not open")
            return 0
        }
        target.write(id, 1 << 20)
        var round = Round()
        for number in 0..<rounds {
            target.write(id, 1 << 20)
            target.drain { round.segments.append(($0.tcp.sequence, $0.length)) }
            if number == rounds - 1 { break }
            target.pass(trip) { round.segments.append(($0.tcp.sequence, $0.length)) }
            let arrived = round
            round = Round()
            // What an acknowledgment lets go belongs to the next round.
            peer.onAnswer = { round.segments.append(($0.tcp.sequence, $0.length)) }
            acknowledge(peer, arrived)
            peer.onAnswer = nil
            #expect(target.fault == nil)
        }
        #expect(peer.state == .established)
        return target.sentOctets
    }

    private func honest(_ peer: Peer, _ round: Round) {
        for segment in round.segments {
            peer.received = .later(peer.received, segment.start + segment.length)
            peer.send(.ack)
        }
    }

    @Test(
        "500 ACKs for each segment bring no octet more than one does in 5 round trips [RFC 3465, B-38]",
        arguments: Family.allCases, [false, true])
    func divided(family: Family, sack: Bool) {
        let pieces = attacks(500, debug: 50)
        let fair = sent(family, sack: sack, rounds: 5) { honest($0, $1) }
        let got = sent(family, sack: sack, rounds: 5) { peer, round in
            for segment in round.segments {
                for piece in 1...pieces {
                    peer.received = .later(peer.received, segment.start + segment.length * piece / pieces)
                    peer.send(.ack)
                }
            }
        }
        #expect(fair > 100_000 && got <= fair, "\(got) octets, \(fair) to an honest receiver")
    }

    @Test(
        "ACKs ahead of what was sent bring nothing: a receiver that lives by them gets the initial window alone [B-38, 5961-3]",
        arguments: Family.allCases)
    func ahead(family: Family) {
        let got = sent(family, rounds: 3) { peer, round in
            for segment in 1...100 { peer.send(.ack, acknowledgment: round.end + segment * 1460) }
            for step in 1...1000 { peer.send(.ack, acknowledgment: round.end + step * 1_000_000) }
        }
        let initial = sent(family, rounds: 1) { _, _ in }
        // The retransmission timer fires, and sends one segment again.
        #expect(got >= initial && got <= initial + 2 * 1460, "\(got) octets, \(initial) at once")
    }

    @Test(
        "Optimistic ACKs bring no octet more than an honest receiver as near as they pretend gets [RFC 5681 §3.1, B-38]",
        arguments: Family.allCases)
    func optimistic(family: Family) {
        // It is 100 ms away, and acknowledges after 20 ms what must have been sent by then: all at once, the latest first,
        // or backwards.
        let fair = sent(family, trip: .milliseconds(20)) { honest($0, $1) }
        for order in 0..<3 {
            let got = sent(family, trip: .milliseconds(20)) { peer, round in
                if order < 2 {
                    peer.received = .later(peer.received, round.end)
                    peer.send(.ack)
                }
                guard order > 0 else { return }
                for segment in round.segments.reversed() {
                    peer.send(.ack, acknowledgment: segment.start + segment.length)
                }
                peer.received = .later(peer.received, round.end)
            }
            #expect(fair > 300_000 && got <= fair, "order \(order): \(got) octets, \(fair) to an honest receiver")
        }
    }

    @Test(
        "An ACK, as early as may be, lets go what it acknowledges and two segments [RFC 3465 §2.2, B-38]",
        arguments: Family.allCases)
    func atOnce(family: Family) {
        // Nothing tells a receiver that acknowledges what has just left from one next door; each such ACK is a packet that it
        // had to send, and has its bound.
        let target = Target(family) { $0.sendBuffer = 16 << 20 }
        let peer = Peer(target)
        #expect(peer.open(scale: 10))
        guard let id = peer.id else { return }
        target.write(id, 1 << 20)
        var end = peer.received
        target.drain { end = .later(end, $0.tcp.sequence + $0.length) }
        let initial = target.sentOctets
        var acknowledged = 0
        var random = Pseudorandom(seed: 3465)
        for count in 1...attacks(5_000, debug: 500) {
            target.write(id, 1 << 20)
            let step = min(end.distance(from: peer.received), Int(random.next() % 30_000))
            peer.received = peer.received + step
            acknowledged += step
            peer.send(.ack)
            target.drain { end = .later(end, $0.tcp.sequence + $0.length) }
            #expect(target.sentOctets <= initial + acknowledged + count * 2 * 1460)
        }
    }

    @Test(
        "1,000 forged duplicates a round trip, with SACK blocks or without, bring no octet more than honest ACKs [RFC 5681 §3.2, RFC 6675 §5, B-38]",
        arguments: Family.allCases, ["none", "without blocks", "true", "everything", "one octet each"])
    func duplicates(family: Family, blocks: String) {
        let fair = sent(family, sack: blocks != "none") { honest($0, $1) }
        let got = sent(family, sack: blocks != "none") { peer, round in
            honest(peer, Round(segments: Array(round.segments.prefix(1))))
            for number in 0..<attacks(1_000, debug: 200) {
                var options = TCPOptions()
                guard round.segments.count > 3 else { break }
                let segment = round.segments[1 + number % (round.segments.count - 1)]
                switch blocks {
                case "true": options.appendSACK(.init(start: segment.start, end: segment.start + segment.length))
                case "everything": options.appendSACK(.init(start: round.segments[1].start, end: round.end))
                case "one octet each":
                    for step in 0..<4 {
                        let at = segment.start + (number / 16 * 64 + step * 2) % max(segment.length, 1)
                        options.appendSACK(.init(start: at, end: at + 1))
                    }
                default: break
                }
                peer.send(.ack, options: options)
            }
            honest(peer, round)
        }
        #expect(fair > 300_000 && got <= fair, "\(got) octets, \(fair) to an honest receiver")
    }

    @Test(
        "Whatever a receiver mixes of true, divided, early and doubled ACKs and of SACK blocks, it gets no octet more than an honest one [B-38]",
        arguments: Family.allCases, [false, true])
    func mixtures(family: Family, sack: Bool) {
        let fair = sent(family, sack: sack) { honest($0, $1) }
        for seed in 0..<UInt64(attacks(500, debug: 20)) {
            var random = Pseudorandom(seed: seed)
            let got = sent(family, sack: sack) { peer, round in
                for segment in round.segments {
                    for _ in 0..<random.next() % 6 { lie(peer, round, segment, sack: sack, &random) }
                }
            }
            #expect(got <= fair, "seed \(seed): \(got) octets, \(fair) to an honest receiver")
        }
    }

    private func lie(
        _ peer: Peer, _ round: Round, _ segment: (start: SequenceNumber, length: Int), sack: Bool,
        _ random: inout Pseudorandom
    ) {
        var options = TCPOptions()
        if sack {
            for _ in 0..<random.next() % 5 {
                let some = round.segments[Int(random.next() % UInt64(round.segments.count))]
                let start = some.start + Int(random.next() % 1500)
                options.appendSACK(.init(start: start, end: start + Int(1 + random.next() % 3000)))
            }
        }
        switch random.next() % 5 {
        case 0: peer.received = .later(peer.received, segment.start + segment.length)
        case 1: peer.received = .later(peer.received, segment.start + Int(random.next() % 1460))
        case 2: break
        case 3:
            peer.send(.ack, acknowledgment: peer.received + Int(random.next() % 1_000_000), options: options)
            return
        default: peer.send(.ack, acknowledgment: peer.received + -Int(random.next() % 20_000), options: options)
        }
        peer.send(.ack, options: options)
    }
}
