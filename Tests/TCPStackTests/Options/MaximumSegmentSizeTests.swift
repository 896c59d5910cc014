import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.7.1, RFC 6691: the MSS option and what it makes of segments.
@Suite("Maximum segment size")
struct MaximumSegmentSizeTests {
    private func opened(
        _ family: Family, _ offer: ScriptedPeer.Offer, mtu: Int = 1500, role: Role = .passive
    ) -> ScriptedPeer {
        var configuration = Configuration()
        configuration.mtu = mtu
        let peer = ScriptedPeer(family, configuration, offer: offer)
        peer.establish(role)
        return peer
    }

    /// The payload lengths of a bulk write's first segments.
    private func lengths(_ peer: ScriptedPeer, _ count: Int = 6000) -> [Int] {
        peer.write(count)
        let lengths = peer.pending.map(\.length)
        peer.discard()
        return lengths
    }

    @Test(
        "Without an MSS option segments hold 536 octets over IPv4, 1220 over IPv6 [MUST-15, B-19, 6691-2]",
        arguments: Family.allCases, Role.allCases)
    func defaults(family: Family, role: Role) {
        let peer = opened(family, .none, role: role)
        #expect(lengths(peer).max() == family.defaultMSS)
        #expect(peer.status?.maximumSegmentSize == family.defaultMSS)
    }

    @Test("The peer's MSS is obeyed [MUST-14, MUST-16]", arguments: Family.allCases, [UInt16(600), 1000, 1220, 1400])
    func obeyed(family: Family, mss: UInt16) {
        let peer = opened(family, ScriptedPeer.Offer(mss: mss))
        let lengths = lengths(peer)
        #expect(lengths.max() == Int(mss))
        #expect(lengths.filter { $0 == Int(mss) }.count >= 3)
    }

    @Test(
        "A larger MSS than the link takes is cut to the link's [MUST-16]", arguments: Family.allCases,
        [UInt16(1461), 9000, 65535])
    func larger(family: Family, mss: UInt16) {
        let peer = opened(family, ScriptedPeer.Offer(mss: mss))
        #expect(lengths(peer).max() == 1500 - family.fixedHeaders)
    }

    @Test(
        "The announced MSS is the MTU less the fixed headers, options not subtracted [MUST-67, SHLD-5, RFC 6691, 6691-1]",
        arguments: Family.allCases, [1280, 1500, 9000, 65535])
    func announced(family: Family, mtu: Int) {
        for role in Role.allCases {
            var configuration = Configuration()
            configuration.mtu = mtu
            let peer = ScriptedPeer(family, configuration, offer: .full)
            peer.establish(role)
            let syn = peer.history.first { $0.flags.contains(.syn) }
            #expect(syn?.tcp.options.maximumSegmentSize.map(Int.init) == mtu - family.fixedHeaders)
        }
    }

    @Test("The option is sent even where it says the default [MAY-3, SHLD-5]", arguments: Family.allCases)
    func always(family: Family) {
        let peer = opened(family, .plain, mtu: family == .ipv4 ? 576 : 1280)
        let syn = peer.history.first { $0.flags.contains(.syn) }
        #expect(syn?.tcp.options.maximumSegmentSize == UInt16(family.defaultMSS))
    }

    @Test("An IPv4 MTU of 68 announces 28 and sends no packet above it [MUST-67]")
    func smallestMTU() {
        let peer = opened(.ipv4, .plain, mtu: 68)
        let syn = peer.history.first { $0.flags.contains(.syn) }
        #expect(syn?.tcp.options.maximumSegmentSize == 28)
        peer.write(100)
        #expect(peer.pending.allSatisfy { $0.packet.count <= 68 })
        #expect(peer.pending.contains { $0.length > 0 })
    }

    @Test(
        "Options are taken from the payload: 1448 with timestamps, less with SACK blocks [MUST-16, B-19, 6691-1, 2525-18]",
        arguments: Family.allCases)
    func optionsSubtracted(family: Family) {
        let peer = opened(family, .full)
        let full = 1500 - family.fixedHeaders
        #expect(lengths(peer).max() == full - 12)
        // Something out of order makes the next data segments carry a SACK block.
        peer.send(.ack)
        peer.discard()
        peer.send(seq: 101, length: 100)
        peer.discard()
        peer.write(6000)
        let segments = peer.pending
        #expect(segments.contains { !$0.sack.isEmpty && $0.length > 0 })
        #expect(segments.allSatisfy { $0.packet.count <= 1500 })
        #expect(segments.filter { !$0.sack.isEmpty }.map(\.length).max() ?? 0 <= full - 12 - 12)
    }

    @Test(
        "An MSS of 0, 1, 12 or 13 stalls nothing and sends no segment without an octet [B-19, B-16, 6691-2]",
        arguments: Family.allCases, [UInt16(0), 1, 12, 13, 48])
    func tiny(family: Family, mss: UInt16) {
        let peer = opened(family, ScriptedPeer.Offer(mss: mss, sack: true, timestamps: true))
        peer.write(3000)
        var rounds = 0
        while peer.received < 3001, rounds < 3000 {
            #expect(peer.pending.allSatisfy { $0.length > 0 })
            peer.discard()
            peer.send(.ack)
            rounds += 1
        }
        #expect(peer.received == 3001)
    }

    @Test("An MSS option on a segment without SYN is ignored [MUST-65]", arguments: Family.allCases)
    func notOnSyn(family: Family) {
        let peer = opened(family, .plain)
        peer.send(.ack, options: [.mss(100)])
        #expect(lengths(peer).max() == peer.mss)
    }

    @Test(
        "Bulk writes go out in full segments, the last alone may be short [SHLD-28, SHLD-27]",
        arguments: Family.allCases)
    func fullSegments(family: Family) {
        let peer = opened(family, .plain)
        for _ in 0..<50 { peer.host.isLinkFull = true; peer.write(100) }
        peer.host.isLinkFull = false
        peer.host.settle()
        let lengths = peer.pending.map(\.length)
        #expect(lengths.dropLast().allSatisfy { $0 == peer.mss })
        #expect(lengths.reduce(0, +) == 5000)
    }
}
