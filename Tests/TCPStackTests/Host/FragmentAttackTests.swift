import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Fragments nobody honest sends: RFC 5722, RFC 7112, RFC 1858, and what stacks have died of.
@Suite("Hostile fragments")
struct FragmentAttackTests {
    private func host(_ family: Family, _ change: (inout Configuration) -> Void = { _ in }) -> VirtualHost {
        var configuration = Configuration()
        change(&configuration)
        return VirtualHost(configuration, families: [family])
    }

    private func fragment(_ start: Int, _ end: Int, more: Bool = true, id: UInt32 = 9) -> Fragment {
        Fragment(offset: start, octets: pattern(end - start), hasMore: more, identification: id)
    }

    @Test(
        "Fragments that overlap by any amount end the whole datagram, what comes later included [RFC 5722 §4]",
        arguments: Family.allCases)
    func overlap(family: Family) {
        for (start, end) in [(0, 80), (72, 160), (792, 880), (8, 16), (8, 88), (0, 800), (0, 8), (72, 88), (0, 1200)] {
            let host = host(family)
            let data = pattern(1600)
            let pieces = cut(echoRequest(family, data), sizes: [80, 720])
            host.inject(pieces[0], family)
            if start < 800 && end > 160 || start >= 72 { host.inject(pieces[1], family) }
            host.inject(
                Fragment(offset: start, octets: pattern(end - start, seed: 5), hasMore: true), family)
            let isDuplicate = start == 0 && end == 80
            #expect(host.stack.counters[.fragmentOverlap] == (isDuplicate ? 0 : 1), "\(start)..<\(end)")
            #expect(isDuplicate || host.stack.memory.buffers == 0)
            for piece in pieces { host.inject(piece, family) }
            #expect(host.takeEchoes(family) == (isDuplicate ? [data] : []), "\(start)..<\(end)")
            #expect(host.stack.audit() == nil)
            host.advance(by: .seconds(31))
            #expect(host.fragmentBytes == 0)
        }
    }

    @Test("Teardrop: a last fragment that ends inside the first [RFC 5722 §4]", arguments: Family.allCases)
    func teardrop(family: Family) {
        for order in [[0, 1], [1, 0]] {
            let host = host(family)
            let pieces = [
                Fragment(offset: 0, octets: Array(echoRequest(family, pattern(100)).prefix(40)), hasMore: true),
                Fragment(offset: 24, octets: pattern(4), hasMore: false),
            ]
            for index in order { host.inject(pieces[index], family) }
            #expect(host.stack.counters[.fragmentOverlap] == 1)
            #expect(host.stack.memory.buffers == 0 && host.others.isEmpty)
        }
    }

    @Test(
        "Ping of death: a fragment past 65,535 octets is dropped by itself [RFC 8200 §4.5]", arguments: Family.allCases)
    func pingOfDeath(family: Family) {
        let host = host(family)
        let overhead = family == .ipv4 ? 20 : 0
        for (offset, length, more) in [(65_528, 8, false), (65_528, 1400, false), (64_512, 1032, true)] {
            host.inject(Fragment(offset: offset, octets: pattern(length), hasMore: more), family)
        }
        #expect(host.stack.counters[.fragmentTooLong] == 3)
        #expect(host.fragmentBytes == 0)
        // The largest there can be is taken.
        let data = pattern(65_535 - overhead - 8, seed: 2)
        for piece in cut(echoRequest(family, data), sizes: Array(repeating: 1480, count: 50)) {
            host.inject(piece, family)
        }
        #expect(host.takeEchoes(family) == [data])
    }

    @Test(
        "A first fragment with more headers than the last may not make more than 65,535 of it [RFC 8200 §4.5]",
        arguments: Family.allCases)
    func headersOverflow(family: Family) {
        let host = host(family)
        var pieces = cut(pattern(65_535 - (family == .ipv4 ? 20 : 0)), sizes: Array(repeating: 1480, count: 50))
        pieces[0].headers = family == .ipv4 ? [1, 1, 1, 1] : [44, 0, 1, 4, 0, 0, 0, 0]
        for piece in pieces.reversed() { host.inject(piece, family) }
        #expect(host.stack.counters[.fragmentTooLong] == 1)
        #expect(host.stack.memory.buffers == 0)
    }

    @Test(
        "A tiny first fragment that hides the transport header is dropped [RFC 7112 §5, RFC 1858 §3]",
        arguments: Family.allCases)
    func tiny(family: Family) {
        let host = host(family)
        let segment = Injection(
            source: Endpoint(family.peerAddress, 4000), destination: Endpoint(family.stackAddress, 80),
            sequence: SequenceNumber(1), flags: .syn, options: [2, 4, 5, 180, 1, 1, 1, 1])
        let octets = Array(segment.packet().dropFirst(family == .ipv4 ? 20 : 40))
        for size in [8, 16, 24] {
            for piece in cut(octets, sizes: [size], number: IPProtocol.tcp) { host.inject(piece, family) }
        }
        #expect(octets.count == 28)
        #expect(host.stack.counters[.fragmentHeader] == 3)
        #expect(host.stack.counters.datagramsReassembled == 0 && host.strays.isEmpty)
    }

    @Test(
        "Empty fragments, and odd ones before the last, are dropped by themselves [RFC 8200 §4.5]",
        arguments: Family.allCases)
    func lengths(family: Family) {
        let host = host(family)
        let data = pattern(1000)
        let pieces = cut(echoRequest(family, data), sizes: [504])
        host.inject(pieces[0], family)
        for (offset, length, more) in [(504, 0, true), (504, 0, false), (504, 7, true), (504, 503, true)] {
            host.inject(Fragment(offset: offset, octets: pattern(length), hasMore: more), family)
        }
        #expect(host.stack.counters[.fragmentLength] == 4)
        host.inject(pieces[1], family)
        #expect(host.takeEchoes(family) == [data])
    }

    @Test(
        "Two last fragments of different ends, or one with more behind it, end the datagram [RFC 815]",
        arguments: Family.allCases)
    func ends(family: Family) {
        let cases = [
            [fragment(800, 900, more: false), fragment(1000, 1100, more: false)],
            [fragment(1000, 1100, more: false), fragment(800, 900, more: false)],
            [fragment(1000, 1100, more: false), fragment(1104, 1200)],
            [fragment(1104, 1200), fragment(1000, 1100, more: false)],
            [fragment(1000, 1104, more: false), fragment(1104, 1112)],
        ]
        for pieces in cases {
            let host = host(family)
            for piece in pieces { host.inject(piece, family) }
            #expect(host.stack.counters[.fragmentMismatch] == 1)
            #expect(host.stack.memory.buffers == 0)
        }
        // The same octets as last and not as last.
        for flags in [[true, false], [false, true]] {
            let host = host(family)
            for more in flags { host.inject(fragment(800, 880, more: more), family) }
            #expect(host.stack.counters[.fragmentOverlap] == 1 && host.stack.memory.buffers == 0)
        }
    }

    @Test(
        "A datagram that is not whole after 30 s goes; fragments do not wind the clock up [RFC 1122 §3.3.2]",
        arguments: Family.allCases)
    func timeout(family: Family) {
        let host = host(family)
        #expect(host.stack.nextDeadline == nil)
        let pieces = cut(echoRequest(family, pattern(1000)), sizes: [200, 200, 200])
        let start = host.now
        host.inject(pieces[3], family)
        for index in 0..<2 {
            host.advance(by: .seconds(14))
            host.inject(pieces[index], family)
        }
        #expect(host.stack.nextDeadline.map { $0 <= start + .seconds(30) } == true)
        host.advance(to: start + .milliseconds(29_999)) { false }
        #expect(host.stack.counters[.fragmentTimeout] == 0 && host.fragmentBytes > 0)
        host.advance(by: .milliseconds(1))
        #expect(host.stack.counters[.fragmentTimeout] == 1 && host.fragmentBytes == 0)
        host.inject(pieces[2], family)
        #expect(host.takeEchoes(family).isEmpty)
        // One that comes too late finds the datagram gone, whether or not a timer was served.
        host.sleep(.seconds(31))
        for index in [0, 1, 3] { host.inject(pieces[index], family) }
        #expect(host.takeEchoes(family).isEmpty && host.stack.counters[.fragmentTimeout] == 2)
        for _ in 0..<3 { host.advance(by: .seconds(31)) }
        #expect(host.fragmentBytes == 0 && host.stack.memory.idleBuffers == 0 && host.stack.nextDeadline == nil)
    }

    /// A first fragment of a datagram of its own.
    private func bomb(_ number: Int) -> Fragment {
        Fragment(offset: 0, octets: pattern(64), hasMore: true, identification: UInt32(truncatingIfNeeded: number))
    }

    @Test(
        "While one source sends 10⁵ first fragments every cut echo request of another is answered; from a source each, those that 62 or fewer come between [RFC 1122 §3.3.2]",
        arguments: Family.allCases, [false, true])
    func bombs(family: Family, spoofed: Bool) {
        let target = Target(family)
        let echo = echoRequest(family, pattern(1400))
        let pieces = cut(echo, sizes: [704])
        let empty = target.stack.memory.total
        var most = 0
        var answered = 0
        var sent = 0
        let gap = spoofed ? 62 : 400
        let blocks = Work.blocks(attacks(100_000, debug: 4_000), of: 250) { index in
            if index % (2 * gap) == 0 || index % (2 * gap) == gap {
                let isSecond = index % (2 * gap) == gap
                var piece = pieces[isSecond ? 1 : 0]
                piece.identification = UInt32(index / (2 * gap))
                if !isSecond { sent += 1 }
                target.deliver(piece.packet(family, from: 2))
                target.drainPackets { packet in
                    if packet.byteCount > 1400 { answered += 1 }
                }
            }
            target.deliver(bomb(index).packet(family, from: spoofed ? 3 + index % 60_000 : 3))
            if index % 100 == 0 { most = max(most, target.stack.memory.total - empty) }
        }
        #expect(answered >= sent - 1 && sent > 2, "\(answered) of \(sent) answered")
        // 64 datagrams, each with its list and a block, in slabs.
        #expect(most <= 400 << 10, "\(most) bytes")
        let growth = Work.growth(blocks, first: 4)
        print("first fragments, spoofed \(spoofed): the last cost \(growth) % of the first thousand")
        #expect(growth <= 400)
        target.pass(.seconds(31))
        target.pass(.seconds(2))
        #expect(target.stack.memory.fragments == 0 && target.stack.memory.buffers == 0 && target.fault == nil)
    }
}
