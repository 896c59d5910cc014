import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.10.7.4, sixth, and §3.8.5 with RFC 6093: urgent data is read in line.
@Suite("Sixth, check the URG bit")
struct UrgentTests {
    private func established(_ family: Family, isn: UInt32 = 0x2000_0000) -> ScriptedPeer {
        let peer = ScriptedPeer(family, isn: isn)
        peer.establish()
        return peer
    }

    @Test("URG is told to the program, and every octet is read in line [MUST-30, MUST-32]", arguments: Family.allCases)
    func told(family: Family) {
        let peer = established(family)
        peer.send([.urg, .ack], length: 10, urgent: 5)
        #expect(peer.takeReadiness().isSuperset(of: [.urgent, .readable]))
        peer.expectRead(10)
    }

    @Test(
        "How much urgent data is left shrinks with reading, and ends at the mark [MUST-33, MUST-62, 5482-6]",
        arguments: Family.allCases)
    func howMuch(family: Family) {
        let peer = established(family)
        // The pointer names the octet after the urgent data: octets 1...5 are urgent.
        peer.send([.urg, .ack], length: 10, urgent: 5)
        #expect(peer.status?.urgent == 5)
        peer.expectRead(3, limit: 3)
        #expect(peer.status?.urgent == 2)
        peer.expectRead(2, limit: 2)
        #expect(peer.status?.urgent == 0)
        peer.expectRead(5)
        #expect(peer.status?.urgent == 0)
    }

    @Test("A pointer that moves on is told again, the same one is not [MUST-32]", arguments: Family.allCases)
    func movesOn(family: Family) {
        let peer = established(family)
        peer.send([.urg, .ack], length: 10, urgent: 5)
        #expect(peer.takeReadiness().contains(.urgent))
        peer.send([.urg, .ack], seq: 1, length: 10, urgent: 5)
        #expect(!peer.takeReadiness().contains(.urgent))
        peer.send([.urg, .ack], length: 10, urgent: 50)
        #expect(peer.takeReadiness().contains(.urgent))
        #expect(peer.status?.urgent == 60)
        // A pointer further back moves nothing back.
        peer.send([.urg, .ack], length: 10, urgent: 1)
        #expect(!peer.takeReadiness().contains(.urgent))
        #expect(peer.status?.urgent == 60)
    }

    @Test("Urgent data may be longer than any segment or window [MUST-31]", arguments: Family.allCases)
    func long(family: Family) {
        let peer = established(family)
        // The pointer reaches 65535 octets; a run of 200 KB is marked again and again.
        let total = 200_000
        while peer.next <= total {
            let count = min(1000, total + 1 - peer.next)
            peer.send([.urg, .ack], length: count, urgent: UInt16(clamping: total + 1 - peer.next))
            if peer.next % 20_000 < 1000 { peer.expectRead(peer.next - 1 - peer.consumed) }
            if peer.consumed + 65_535 < total { #expect((peer.status?.urgent ?? 0) > 0) }
        }
        peer.expectRead(total - peer.consumed)
        #expect(peer.status?.urgent == 0)
    }

    @Test("Urgent mode can be announced before its data comes [MUST-30]", arguments: Family.allCases)
    func ahead(family: Family) {
        let peer = established(family)
        peer.send([.urg, .ack], urgent: 300)
        #expect(peer.takeReadiness().contains(.urgent))
        #expect(peer.status?.urgent == 300)
        peer.send(length: 300)
        peer.expectRead(300)
        #expect(peer.status?.urgent == 0)
    }

    @Test(
        "A pointer of 0, of 1, at the end and far beyond are all harmless [B-36, 5482-6]", arguments: Family.allCases,
        [UInt16(0), 1, 10, 11, 65535])
    func pointers(family: Family, pointer: UInt16) {
        for isn in [UInt32(0x2000_0000), 0xFFFF_FFF8, 0x7FFF_FFF8] {
            let peer = established(family, isn: isn)
            peer.send([.urg, .ack], length: 10, urgent: pointer)
            #expect(peer.status?.urgent == Int(pointer))
            peer.expectRead(10)
            #expect(peer.status?.urgent == max(0, Int(pointer) - 10))
            peer.send(length: 10)
            peer.expectRead(10)
            peer.expectState(.established)
        }
    }

    @Test("A pointer without URG means nothing [§3.1]", arguments: Family.allCases)
    func withoutFlag(family: Family) {
        let peer = established(family)
        peer.send(.ack, length: 10, urgent: 5)
        #expect(!peer.takeReadiness().contains(.urgent))
        #expect(peer.status?.urgent == 0)
    }

    @Test("The mark falls behind as ordinary data is read far beyond it, across 2^31 too [B-36]")
    func farBehind() {
        let peer = established(.ipv4, isn: 0x7FFF_0000)
        peer.send([.urg, .ack], length: 10, urgent: 10)
        peer.expectRead(10)
        for _ in 0..<100 {
            peer.send(length: 1460)
            peer.expectRead(1460)
            #expect(peer.status?.urgent == 0)
        }
    }

    @Test("This stack sends no urgent data: no segment has URG set [SHLD-13]", arguments: Family.allCases)
    func neverSends(family: Family) {
        let peer = established(family)
        peer.write(20_000)
        peer.close()
        peer.host.advance(by: .seconds(10))
        #expect(peer.history.count > 10)
        #expect(peer.history.allSatisfy { !$0.flags.contains(.urg) && $0.tcp.urgentPointer == 0 })
    }
}
