import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 5927: ICMP messages of a forger who knows the four-tuple, and guesses or knows the sequence numbers.
@Suite("Forged ICMP")
struct ForgedICMPTests {
    /// What a message claims, by the forger's choice.
    struct Forgery: Sendable {
        var type: UInt8
        var code: UInt8
        var word: UInt32 = 0
    }

    /// Every kind there is: unreachables, source quench, redirects, time exceeded, parameter problems, too big.
    private static func kinds(_ family: Family) -> [Forgery] {
        var kinds: [Forgery] = []
        if family == .ipv4 {
            for code in UInt8(0)...15 where code != 4 { kinds.append(Forgery(type: 3, code: code)) }
            kinds.append(Forgery(type: 4, code: 0))
            for code in UInt8(0)...3 { kinds.append(Forgery(type: 5, code: code, word: 0x0A00_0063)) }
            kinds += [Forgery(type: 11, code: 0), Forgery(type: 11, code: 1)]
            for code in UInt8(0)...2 { kinds.append(Forgery(type: 12, code: code, word: 0x1400_0000)) }
        } else {
            for code in UInt8(0)...7 { kinds.append(Forgery(type: 1, code: code)) }
            kinds += [Forgery(type: 3, code: 0), Forgery(type: 3, code: 1)]
            for code in UInt8(0)...2 { kinds.append(Forgery(type: 4, code: code, word: 6)) }
            kinds.append(Forgery(type: 137, code: 0))
        }
        return kinds
    }

    private static func tooBig(_ family: Family) -> [Forgery] {
        [0, 1, 68, 296, 552, 576, 1000, 1279, 1280, 1300, 1499, 1500, 9000, 65_535, 0xFFFF_FFFF].map {
            Forgery(type: family == .ipv4 ? 3 : 2, code: family == .ipv4 ? 4 : 0, word: $0)
        }
    }

    private func message(
        _ forgery: Forgery, about sequence: SequenceNumber, of peer: Peer, to target: Target
    ) -> [UInt8] {
        let segment = Injection(
            source: target.endpoint, destination: peer.endpoint, sequence: sequence, flags: .ack)
        let quotation = Array(segment.packet().prefix(target.family.fixedHeaders - 20 + 8))
        // A router somewhere.
        let router = target.family.address(77)
        var message: [UInt8] = [forgery.type, forgery.code, 0, 0] + big32(forgery.word) + quotation
        message.replaceSubrange(
            2..<4, with: big16(icmpChecksum(target.family, message, router, target.address)))
        let header = IPHeader(
            source: router, destination: target.address,
            protocolNumber: target.family == .ipv4 ? IPProtocol.icmp : IPProtocol.icmpv6)
        var packet = [UInt8](repeating: 0, count: header.headerLength)
        var octets = packet.mutableSpan
        var span = octets.mutableBytes
        header.write(to: &span, payloadLength: message.count)
        return packet + message
    }

    /// Round trips of 20 ms in which a window of 64 KiB carries `total` octets while `forge` is called in each, before the
    /// peer's acknowledgments come; and the smallest full segment seen.
    private func trips(
        _ family: Family, _ total: Int = attacks(4_000_000, debug: 1_000_000), warm: Int = 0,
        _ forge: (Target, Peer, SequenceNumber) -> Void
    ) -> Int {
        let target = Target(family)
        let peer = Peer(target)
        #expect(peer.open())
        guard let id = peer.id else { return .max }
        var left = total
        var end = peer.received
        left -= target.write(id, left)
        for trip in 1...2000 {
            target.drain { end = .later(end, $0.tcp.sequence + $0.length) }
            if trip > warm { forge(target, peer, end) }
            target.pass(.milliseconds(20)) { end = .later(end, $0.tcp.sequence + $0.length) }
            let arrived = end
            while peer.received < arrived {
                peer.received = .earlier(arrived, peer.received + 2920)
                peer.send(.ack)
                target.drain { end = .later(end, $0.tcp.sequence + $0.length) }
            }
            left -= target.write(id, left)
            guard peer.state == .established else {
                Issue.record("the connection ended: \(String(describing: peer.status?.error))")
                return .max
            }
            if left == 0, peer.status?.unacknowledged == 0 {
                #expect(target.fault == nil)
                return trip
            }
        }
        return .max
    }

    @Test(
        "Errors of every kind but “too big”, 100 a round trip, about what is in flight or not, cost a connection nothing [RFC 5927 §5, §6, MUST-54, MUST-55, MUST-56, SHLD-26, 5482-3]",
        arguments: Family.allCases, [false, true])
    func errors(family: Family, inFlight: Bool) {
        let quiet = trips(family) { _, _, _ in }
        var random = Pseudorandom(seed: 5927)
        let kinds = ForgedICMPTests.kinds(family)
        let attacked = trips(family) { target, peer, end in
            for number in 0..<attacks(100, debug: 40) {
                let offset = Int(random.next() % UInt64(max(end.distance(from: peer.received), 1)))
                let guess = inFlight ? offset : 1 << 17 + Int(random.next() % 1_000_000_000)
                target.deliver(
                    message(kinds[number % kinds.count], about: peer.received + guess, of: peer, to: target))
            }
        }
        #expect(quiet < 100 && attacked == quiet, "\(attacked) round trips, \(quiet) in peace")
    }

    @Test(
        "“Too big” about what is not in flight, 100 a round trip, costs a connection nothing [RFC 5927 §7, 6691-5]",
        arguments: Family.allCases)
    func tooBigBlind(family: Family) {
        let quiet = trips(family) { _, _, _ in }
        var random = Pseudorandom(seed: 1191)
        let kinds = ForgedICMPTests.tooBig(family)
        let attacked = trips(family) { target, peer, _ in
            for number in 0..<attacks(100, debug: 40) {
                let guess = 1 << 17 + Int(random.next() % 1_000_000_000)
                let sign = number % 2 == 0 ? 1 : -1
                target.deliver(
                    message(kinds[number % kinds.count], about: peer.received + sign * guess, of: peer, to: target))
            }
        }
        #expect(attacked == quiet, "\(attacked) round trips, \(quiet) in peace")
    }

    @Test(
        "“Too big” of one who sees the sequence numbers leaves the whole rate once a full segment has arrived, and half of it before [RFC 5927 §7.2, 6691-5]",
        arguments: Family.allCases, [0, 2])
    func tooBigInFlight(family: Family, warm: Int) {
        let quiet = trips(family) { _, _, _ in }
        var random = Pseudorandom(seed: 8201)
        let kinds = ForgedICMPTests.tooBig(family)
        let attacked = trips(family, warm: warm) { target, peer, end in
            for number in 0..<attacks(100, debug: 40) {
                let offset = Int(random.next() % UInt64(max(end.distance(from: peer.received), 1)))
                target.deliver(
                    message(kinds[number % kinds.count], about: peer.received + offset, of: peer, to: target))
            }
        }
        print("forged too big, \(family), after \(warm) round trips: \(attacked) round trips, \(quiet) in peace")
        #expect(attacked <= (warm > 0 ? quiet : 2 * quiet), "\(attacked) round trips, \(quiet) in peace")
    }

    @Test(
        "An opening connection ends by a hard error about its very SYN alone: 10⁵ guesses end none [RFC 5927 §4, MUST-54]",
        arguments: Family.allCases)
    func opening(family: Family) throws {
        let target = Target(family)
        let peer = Peer(target, port: 443)
        let id = try target.stack.connect(to: peer.endpoint, port: Target.port, at: target.now)
        var initial = SequenceNumber(0)
        target.drain { initial = $0.tcp.sequence }
        var random = Pseudorandom(seed: 793)
        for number in 0..<attacks(100_000, debug: 4_000) {
            let forgery = Forgery(
                type: family == .ipv4 ? 3 : 1, code: [family == .ipv4 ? 2 : 1, family == .ipv4 ? 3 : 4][number % 2])
            let guess =
                number < 8 ? [1, -1, 2, -2, 1 << 16, -1 << 16, 1 << 31, 1 << 30][number] : Int(random.next() >> 33)
            guard guess & 0xFFFF_FFFF != 0 else { continue }
            target.deliver(message(forgery, about: initial + guess, of: peer, to: target))
        }
        #expect(target.stack.status(of: id)?.state == .synSent && target.events().isEmpty)
        target.deliver(
            message(
                Forgery(type: family == .ipv4 ? 3 : 1, code: family == .ipv4 ? 3 : 4), about: initial, of: peer,
                to: target))
        #expect(target.stack.status(of: id)?.error == .unreachable)
    }
}
