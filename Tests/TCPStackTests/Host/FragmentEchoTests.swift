import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Answers larger than the link takes: RFC 791 §3.2, RFC 8200 §4.5, RFC 6864, RFC 7739.
@Suite("Answers in fragments")
struct FragmentEchoTests {
    private func ping(
        _ host: VirtualHost, _ family: Family, _ data: [UInt8], identification: UInt32 = 5, from number: Int = 2
    ) {
        for piece in cut(
            echoRequest(family, data, from: number), sizes: Array(repeating: 1232, count: 60),
            identification: identification)
        {
            host.inject(piece, family, from: number)
        }
    }

    private func headers(_ host: VirtualHost) -> [IPHeader] {
        host.others.compactMap { try? IPHeader(parsing: $0.span.bytes) }
    }

    @Test(
        "An echo of 60,000 octets comes in fragments and is answered in fragments [RFC 792, RFC 4443 §4.2]",
        arguments: Family.allCases, [1473, 60_000, 65_400])
    func large(family: Family, size: Int) {
        let host = VirtualHost(families: [family])
        let data = pattern(size)
        ping(host, family, data)
        let all = headers(host)
        #expect(all.count == host.others.count && all.count >= 2)
        #expect(host.others.allSatisfy { $0.count <= 1500 })
        let parts = all.compactMap(\.fragment)
        #expect(parts.count == all.count)
        #expect(Set(parts.map(\.identification)).count == 1)
        #expect(parts.dropLast().allSatisfy(\.hasMore) && parts.last?.hasMore == false)
        #expect(all.allSatisfy { $0.hopLimit == 64 && $0.destination == family.address(2) })
        // As full as the link takes, but for the last.
        #expect(all.dropLast().allSatisfy { $0.totalLength > 1500 - 8 })
        #expect(Int(host.stack.counters.fragmentsSent) == all.count)
        #expect(host.takeEchoes(family) == [data])
        // Blocks that lie idle go back at the second look.
        for _ in 0..<3 { host.advance(by: .seconds(1)) }
        #expect(host.stack.memory.buffers == 0 && host.fragmentBytes == 0 && host.stack.memory.idleBuffers == 0)
    }

    @Test("An answer that fits exactly is whole, one octet more makes two fragments", arguments: Family.allCases)
    func edge(family: Family) {
        let host = VirtualHost(families: [family])
        let most = 1500 - (family == .ipv4 ? 20 : 40) - 8
        ping(host, family, pattern(most))
        #expect(host.others.count == 1 && headers(host).first?.isFragment == false)
        #expect(host.takeEchoes(family) == [pattern(most)])
        ping(host, family, pattern(most + 1))
        #expect(host.others.count == 2)
        #expect(host.takeEchoes(family) == [pattern(most + 1)])
    }

    @Test("DF is clear on fragments, and set on whole answers [RFC 6864 §4.1, 6528-3]")
    func dontFragment() {
        let host = VirtualHost(families: [.ipv4])
        ping(host, .ipv4, pattern(3000))
        #expect(host.others.count == 3 && host.others.allSatisfy { $0[6] & 0x40 == 0 })
        host.others.removeAll()
        ping(host, .ipv4, pattern(100))
        #expect(host.others.count == 1 && host.others[0][6] & 0x40 != 0)
    }

    @Test(
        "Identifications of one peer differ from answer to answer, and tell nothing of another's [RFC 7739 §5.3]",
        arguments: Family.allCases)
    func identifications(family: Family) {
        var starts: [UInt32] = []
        for secret in 0..<8 {
            let host = VirtualHost(secret: StackSecret(UInt64(secret), 99), families: [family])
            var seen: Set<UInt32> = []
            for round in 0..<16 {
                ping(host, family, pattern(2000), identification: UInt32(round))
                seen.insert(headers(host).first?.fragment?.identification ?? 0)
                if round == 0 { starts.append(headers(host).first?.fragment?.identification ?? 0) }
                host.others.removeAll()
            }
            #expect(seen.count == 16)
            ping(host, family, pattern(2000), from: 3)
            starts.append(headers(host).first?.fragment?.identification ?? 0)
        }
        // Unrelated numbers of the whole width: no two near each other, no bit that stands still.
        #expect(Set(starts.map { $0 >> 4 }).count >= 15)
        let width = family == .ipv4 ? 16 : 32
        for bit in 0..<width {
            let set = starts.filter { $0 >> UInt32(bit) & 1 == 1 }.count
            #expect(set > 0 && set < starts.count, "bit \(bit)")
        }
    }

    @Test("The link is asked for each fragment: a full one loses none", arguments: Family.allCases)
    func fullLink(family: Family) {
        let host = VirtualHost(families: [family])
        host.isLinkFull = true
        ping(host, family, pattern(4000))
        ping(host, family, pattern(10, seed: 3))
        #expect(host.others.isEmpty && host.stack.wantsToTransmit == true)
        var room = [UInt8](repeating: 0, count: 1500)
        var sent: [[UInt8]] = []
        while host.stack.wantsToTransmit, sent.count < 10 {
            var span = room.mutableSpan
            var bytes = span.mutableBytes
            guard let packet = host.stack.transmit(into: &bytes, at: host.now) else { break }
            sent.append(Array(room[..<packet.length]))
            #expect(host.stack.audit() == nil)
        }
        host.others = sent
        #expect(host.takeEchoes(family) == [pattern(4000), pattern(10, seed: 3)])
        #expect(host.stack.wantsToTransmit == false)
    }

    @Test(
        "Four answers of 60,000 octets may wait for the link, a fifth is refused and counted",
        arguments: Family.allCases)
    func waiting(family: Family) {
        let host = VirtualHost(families: [family])
        host.batch {
            for round in 0..<5 { ping(host, family, pattern(60_000, seed: round), identification: UInt32(round)) }
        }
        #expect(host.takeEchoes(family) == (0..<4).map { pattern(60_000, seed: $0) })
        #expect(host.stack.counters[.queueFull] == 1)
    }

    @Test("A link of the least MTU takes an answer in fragments of it [RFC 791 §3.2]")
    func smallest() {
        var configuration = Configuration()
        configuration.mtu = 68
        let host = VirtualHost(configuration, families: [.ipv4])
        let data = pattern(500)
        host.inject(Fragment(offset: 0, octets: echoRequest(.ipv4, data), hasMore: false).packet(.ipv4))
        #expect(host.others.count == 11 && host.others.allSatisfy { $0.count <= 68 })
        #expect(host.takeEchoes(.ipv4) == [data])
    }

    @Test("A buffer with no room for eight octets drops the answer and is counted", arguments: Family.allCases)
    func noRoom(family: Family) {
        let host = VirtualHost(families: [family])
        host.isLinkFull = true
        ping(host, family, pattern(4000))
        var room = [UInt8](repeating: 0, count: family == .ipv4 ? 27 : 55)
        var span = room.mutableSpan
        var bytes = span.mutableBytes
        let packet = host.stack.transmit(into: &bytes, at: host.now)
        #expect(packet == nil)
        #expect(host.stack.wantsToTransmit == false)
        #expect(host.stack.counters.repliesDropped == 1)
        #expect(host.stack.memory.buffers == 0 && host.stack.audit() == nil)
    }
}
