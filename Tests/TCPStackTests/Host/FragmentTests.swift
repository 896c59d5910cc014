import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 791 §3.2, RFC 815, RFC 8200 §4.5: datagrams that come in fragments.
@Suite("Fragments")
struct FragmentTests {
    /// Every order of four things.
    static let orders: [[Int]] = {
        var orders: [[Int]] = []
        for a in 0..<4 {
            for b in 0..<4 where b != a {
                for c in 0..<4 where c != a && c != b { orders.append([a, b, c, 6 - a - b - c]) }
            }
        }
        return orders
    }()

    @Test("Every order of four fragments gives the datagram [RFC 815]", arguments: Family.allCases)
    func everyOrder(family: Family) {
        let data = pattern(3000)
        let pieces = cut(echoRequest(family, data), sizes: [800, 8, 1200])
        #expect(pieces.count == 4 && Self.orders.count == 24)
        for order in Self.orders {
            let host = VirtualHost(families: [family])
            for (position, index) in order.enumerated() {
                #expect(host.takeEchoes(family).isEmpty, "\(order): answered after \(position)")
                host.inject(pieces[index], family)
            }
            #expect(host.takeEchoes(family) == [data], "\(order)")
            #expect(host.fragmentBytes == 0)
            #expect(host.stack.counters.datagramsReassembled == 1 && host.stack.counters.fragmentsReceived == 4)
            #expect(host.stack.audit() == nil)
        }
    }

    @Test("The last fragment may come first, and be a single octet [RFC 815]", arguments: Family.allCases)
    func lastFirst(family: Family) {
        let host = VirtualHost(families: [family])
        let data = pattern(1600 - 8 + 1)
        let pieces = cut(echoRequest(family, data), sizes: [800, 800])
        #expect(pieces[2].octets.count == 1)
        for piece in pieces.reversed() { host.inject(piece, family) }
        #expect(host.takeEchoes(family) == [data])
    }

    @Test("Datagrams whose fragments come among each other do not mix [RFC 791 §3.2]", arguments: Family.allCases)
    func interleaved(family: Family) {
        let host = VirtualHost(families: [family])
        let first = pattern(2000, seed: 1)
        let second = pattern(2000, seed: 2)
        let third = pattern(2000, seed: 3)
        let one = cut(echoRequest(family, first), sizes: [808, 808], identification: 7)
        let two = cut(echoRequest(family, second), sizes: [808, 808], identification: 8)
        // The same identification from another host is another datagram.
        let three = cut(echoRequest(family, third, from: 3), sizes: [808, 808], identification: 7)
        for index in 0..<3 {
            host.inject(one[index], family)
            host.inject(two[2 - index], family)
            host.inject(three[index], family, from: 3)
        }
        #expect(Set(host.takeEchoes(family)) == [first, second, third])
        #expect(host.fragmentBytes == 0)
    }

    @Test("IPv4 tells datagrams apart by their protocol too [RFC 791 §3.2]")
    func protocols() {
        let host = VirtualHost(families: [.ipv4])
        let data = pattern(1000)
        let pieces = cut(echoRequest(.ipv4, data), sizes: [504])
        host.inject(pieces[0], .ipv4)
        var other = pieces[1]
        other.number = 17
        host.inject(other, .ipv4)
        #expect(host.takeEchoes(.ipv4).isEmpty)
        host.inject(pieces[1], .ipv4)
        #expect(host.takeEchoes(.ipv4) == [data])
    }

    @Test("The first fragment's next header counts, whatever the others say [RFC 8200 §4.5]")
    func nextHeader() {
        let host = VirtualHost(families: [.ipv6])
        let data = pattern(1000)
        var pieces = cut(echoRequest(.ipv6, data), sizes: [504])
        pieces[1].number = 17
        host.inject(pieces[1], .ipv6)
        host.inject(pieces[0], .ipv6)
        #expect(host.takeEchoes(.ipv6) == [data])
    }

    @Test(
        "A fragment that comes again is ignored, and the datagram is whole [RFC 8200 §4.5]", arguments: Family.allCases)
    func duplicates(family: Family) {
        let host = VirtualHost(families: [family])
        let data = pattern(3000)
        let pieces = cut(echoRequest(family, data), sizes: [1000, 1000])
        for index in [2, 2, 0, 2, 0, 1] { host.inject(pieces[index], family) }
        #expect(host.takeEchoes(family) == [data])
        #expect(host.stack.counters[.fragmentDuplicate] == 3)
    }

    @Test("A TCP segment in fragments carries its data, and its checksum counts [MUST-3]", arguments: Family.allCases)
    func segment(family: Family) {
        for isRight in [true, false] {
            let peer = ScriptedPeer(family)
            peer.establish()
            var packet: [UInt8] = []
            let data = (0..<1200).map { peer.octet(1 + $0) }
            var injection = Injection(
                source: peer.endpoint, destination: peer.target, sequence: peer.isn + 1, flags: [.ack, .psh])
            injection.acknowledgment = (peer.stackISN ?? SequenceNumber(0)) + 1
            injection.payload = data
            injection.hasValidChecksum = isRight
            packet = Array(injection.packet().dropFirst(family == .ipv4 ? 20 : 40))
            // The link's word is not taken: it saw fragments, not the segment.
            var metadata = PacketMetadata()
            metadata.isChecksumTrusted = true
            for piece in cut(packet, sizes: [24, 400, 400], number: IPProtocol.tcp).reversed() {
                peer.host.inject(piece.packet(family), metadata: metadata)
            }
            #expect(peer.host.stack.counters[.badChecksum] == (isRight ? 0 : 1))
            peer.expectRead(isRight ? 1200 : 0)
        }
    }

    @Test("A protocol that is not spoken here is counted once its datagram is whole", arguments: Family.allCases)
    func unknownProtocol(family: Family) {
        let host = VirtualHost(families: [family])
        for piece in cut(pattern(1000), sizes: [504], number: 253) { host.inject(piece, family) }
        #expect(host.stack.counters[.unknownProtocol] == 1)
        #expect(host.fragmentBytes == 0)
    }

    @Test(
        "Headers in front of the fragment header, and IPv4 options, are no part of the datagram [RFC 8200 §4.5]",
        arguments: Family.allCases)
    func unfragmentable(family: Family) {
        let host = VirtualHost(families: [family])
        let data = pattern(1500)
        var pieces = cut(echoRequest(family, data), sizes: [504, 504])
        let number = family == .ipv4 ? IPProtocol.icmp : 44
        for index in [0, 2] {
            pieces[index].headers = family == .ipv4 ? [0x94, 4, 0, 0] : [number, 0, 1, 4, 0, 0, 0, 0]
        }
        for piece in pieces { host.inject(piece, family) }
        #expect(host.takeEchoes(family) == [data])
    }

    @Test("Extension headers behind the fragment header are walked in the whole datagram [RFC 8200 §4.5]")
    func fragmentableHeaders() {
        let data = pattern(1500)
        let options: [UInt8] = [IPProtocol.icmpv6, 0, 1, 4, 0, 0, 0, 0]
        let host = VirtualHost(families: [.ipv6])
        for piece in cut(options + echoRequest(.ipv6, data), sizes: [504, 504], number: 60) {
            host.inject(piece, .ipv6)
        }
        #expect(host.takeEchoes(.ipv6) == [data])
    }

    @Test("An atomic fragment is whole by itself, whatever waits under its identification [RFC 6946 §4]")
    func atomic() {
        let host = VirtualHost(families: [.ipv6])
        let data = pattern(1000)
        let pieces = cut(echoRequest(.ipv6, data), sizes: [504])
        host.inject(pieces[0], .ipv6)
        let whole = Fragment(offset: 0, octets: echoRequest(.ipv6, pattern(40)), hasMore: false)
        host.inject(whole, .ipv6)
        #expect(host.takeEchoes(.ipv6) == [pattern(40)])
        #expect(host.stack.counters.fragmentsReceived == 1)
        host.inject(pieces[1], .ipv6)
        #expect(host.takeEchoes(.ipv6) == [data])
    }

    @Test("Fragments inside a datagram of fragments are refused: there would be no bottom [RFC 8200 §4.1]")
    func nested() {
        let host = VirtualHost(families: [.ipv6])
        let inner: [UInt8] = [IPProtocol.icmpv6, 0, 0, 1, 0, 0, 0, 9] + echoRequest(.ipv6, pattern(1000))
        for piece in cut(inner, sizes: [504], number: 44) { host.inject(piece, .ipv6) }
        #expect(host.stack.counters[.fragmentHeader] == 1)
        #expect(host.stack.counters.datagramsReassembled == 0)
        #expect(host.takeEchoes(.ipv6).isEmpty)
    }

    @Test(
        "A mark of congestion on any fragment is on the datagram, and never joins unmarkable ones [RFC 3168 §5.3]",
        arguments: Family.allCases)
    func congestion(family: Family) {
        for (classes, isTaken) in [([2, 3, 2], true), ([0, 0, 0], true), ([3, 3, 3], true), ([0, 3, 0], false)] {
            let host = VirtualHost(families: [family])
            var pieces = cut(echoRequest(family, pattern(1500)), sizes: [504, 504])
            for index in 0..<3 { pieces[index].trafficClass = UInt8(classes[index]) }
            for piece in pieces { host.inject(piece, family) }
            #expect(host.takeEchoes(family).count == (isTaken ? 1 : 0), "\(classes)")
            #expect(host.stack.counters[.fragmentMismatch] == (isTaken ? 0 : 1), "\(classes)")
        }
    }

    @Test("Fragments for others are dropped before anything is kept", arguments: Family.allCases)
    func notForUs(family: Family) {
        let host = VirtualHost(families: [family], number: 9)
        host.inject(cut(echoRequest(family, pattern(1000)), sizes: [504])[0], family)
        #expect(host.stack.counters[.notForUs] == 1 && host.fragmentBytes == 0)
        #expect(host.stack.counters.fragmentsReceived == 0)
    }
}
