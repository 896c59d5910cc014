import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.10.7.2: the checks of LISTEN in their order, and what a listener is to its children.
@Suite("LISTEN")
struct ListenTests {
    @Test("LISTEN ignores a RST, whatever else it carries [U-13, U-23]", arguments: Family.allCases)
    func reset(family: Family) {
        let peer = ScriptedPeer(family)
        peer.listen()
        for flags: TCPFlags in [.rst, [.rst, .ack], [.rst, .syn], [.rst, .syn, .ack], [.rst, .fin]] {
            peer.send(flags, seq: 3, ack: 9)
        }
        peer.expectNothing(for: .seconds(10))
        #expect(peer.host.stack.memory.halfOpenCount == 0)
    }

    @Test("LISTEN answers an ACK with RST, SEQ=SEG.ACK [U-10, U-23]", arguments: Family.allCases)
    func ack(family: Family) {
        let peer = ScriptedPeer(family)
        peer.listen()
        for flags: TCPFlags in [.ack, [.syn, .ack], [.fin, .ack], [.psh, .ack]] {
            peer.send(flags, seq: 3, ack: 4321, length: flags.contains(.psh) ? 5 : 0)
            peer.expect(.rst, seq: 4321)
        }
        #expect(peer.host.stack.memory.halfOpenCount == 0)
    }

    @Test(
        "LISTEN drops what has neither RST, ACK nor SYN: a lone FIN, data, nothing at all [U-23, U-38]",
        arguments: Family.allCases)
    func others(family: Family) {
        let peer = ScriptedPeer(family)
        peer.listen()
        peer.send(.fin, seq: 3)
        peer.send([], seq: 3)
        peer.send(.psh, seq: 3, length: 20)
        peer.send(.urg, seq: 3, length: 20, urgent: 5)
        peer.expectNothing(for: .seconds(1))
        #expect(peer.host.stack.memory.halfOpenCount == 0)
    }

    @Test(
        "LISTEN takes a SYN after all of that, and stays LISTEN for the next [U-23, MUST-42]",
        arguments: Family.allCases)
    func syn(family: Family) {
        let peer = ScriptedPeer(family)
        peer.listen()
        peer.send(.rst, seq: 3)
        peer.send(.fin, seq: 3)
        peer.establish()
        let second = ScriptedPeer(family, host: peer.host, port: 4001, isn: 77)
        second.listener = peer.listener
        second.establish()
    }

    @Test("A SYN with any of the reserved and ECN bits is a SYN [B-21, 3168-5]", arguments: Family.allCases)
    func reservedBits(family: Family) {
        let host = VirtualHost(families: [family])
        let opener = ScriptedPeer(family, host: host)
        opener.listen()
        for bits in UInt16(0)..<64 {
            let peer = ScriptedPeer(family, host: host, port: 5000 + bits)
            peer.listener = opener.listener
            peer.send(.syn) { injection in
                injection.reserved = UInt8(bits &>> 3)
                if bits & 1 != 0 { injection.flags.insert(.ece) }
                if bits & 2 != 0 { injection.flags.insert(.cwr) }
                if bits & 4 != 0 { injection.flags.insert(.ae) }
            }
            // Without ECN of its own a stack sets none of the bits in its answer.
            peer.expect([.syn, .ack], seq: 0, ack: 1)
            peer.send(.ack)
            peer.accept()
            peer.expectState(.established)
        }
    }

    @Test("A SYN to a broadcast or multicast address is dropped without a word [MUST-57]", arguments: Family.allCases)
    func notUnicast(family: Family) {
        let peer = ScriptedPeer(family)
        peer.listen()
        let targets: [IPAddress] =
            family == .ipv4
            ? [IPAddress(255, 255, 255, 255), IPAddress(224, 0, 0, 1), IPAddress(10, 0, 255, 255)]
            : [IPAddress("ff02::1")!, IPAddress("ff0e::1:2")!]
        for target in targets {
            for flags: TCPFlags in [.syn, .ack, [.fin, .ack]] {
                peer.send(flags, seq: 0, ack: 5) { $0.destination.address = target }
            }
        }
        peer.expectNothing(for: .seconds(5))
        #expect(peer.host.strays.isEmpty)
        #expect(peer.host.stack.flows().allSatisfy { $0.state == .listen })
        #expect(peer.host.stack.counters[.notUnicast] == UInt64(3 * targets.count))
    }

    @Test("A SYN from an address nobody can have is ignored [MUST-63]", arguments: Family.allCases)
    func martian(family: Family) {
        let peer = ScriptedPeer(family)
        peer.listen()
        let sources: [IPAddress] =
            family == .ipv4
            ? [
                IPAddress(255, 255, 255, 255), IPAddress(224, 0, 0, 9), IPAddress(0, 0, 0, 0), IPAddress(127, 0, 0, 1),
                IPAddress(10, 0, 255, 255),
            ]
            : [IPAddress("ff02::1")!, IPAddress("::")!, IPAddress("::1")!]
        for source in sources { peer.send(.syn, seq: 0) { $0.source.address = source } }
        peer.expectNothing(for: .seconds(5))
        #expect(peer.host.strays.isEmpty, "no reply to \(peer.host.strays.map(\.destination))")
        #expect(peer.host.stack.memory.halfOpenCount == 0)
        #expect(peer.host.stack.counters[.martianSource] == UInt64(sources.count))
    }

    @Test(
        "A segment with a wrong checksum is dropped, counted and changes nothing [MUST-3]", arguments: Family.allCases)
    func badChecksum(family: Family) {
        let peer = ScriptedPeer(family)
        peer.listen()
        peer.send(.syn, seq: 0) { $0.hasValidChecksum = false }
        peer.expectNothing(for: .seconds(1))
        #expect(peer.host.stack.counters[.badChecksum] == 1)
        peer.establish()
        peer.send(length: 10) { $0.edit = { $0[$0.count - 1] ^= 0x10 } }
        peer.send(.rst) { $0.edit = { $0[$0.count - 4] ^= 0x01 } }
        peer.expectNothing(for: .seconds(1))
        peer.expectState(.established)
        peer.expectRead(.wouldBlock)
        #expect(peer.host.stack.counters[.badChecksum] == 3)
    }

    @Test("A segment moved to another address fails its pseudo-header's sum [MUST-3]")
    func pseudoHeader() {
        let host = VirtualHost(families: [.ipv4])
        host.stack.addAddress(AddressPrefix(IPAddress(10, 0, 0, 9), length: 16))
        let peer = ScriptedPeer(host: host)
        peer.listen()
        peer.send(.syn) { injection in
            injection.edit = { packet in
                // The last octet of the destination, with the header's own sum mended.
                packet[19] = 9
                packet.replaceSubrange(10..<12, with: [0, 0])
                var sum = Checksum()
                sum.add(packet[0..<20].span.bytes)
                packet.replaceSubrange(10..<12, with: big16(sum.value))
            }
        }
        peer.expectNothing(for: .seconds(1))
        #expect(host.stack.counters[.badChecksum] == 1)
    }
}
