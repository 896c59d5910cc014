import TCPEngine
import TCPStack
import TCPWire
import Testing

/// The limits on what waits to be whole: RFC 1122 §3.3.2, RFC 4963, RFC 6274 §4.1.
@Suite("Limits on fragments")
struct FragmentLimitTests {
    private func host(_ family: Family, _ change: (inout Configuration) -> Void = { _ in }) -> VirtualHost {
        var configuration = Configuration()
        change(&configuration)
        return VirtualHost(configuration, families: [family])
    }

    private func pieces(_ family: Family, _ size: Int, id: Int, from number: Int = 2) -> [Fragment] {
        cut(
            echoRequest(family, pattern(size, seed: id), from: number), sizes: Array(repeating: 1400, count: 60),
            identification: UInt32(id))
    }

    @Test(
        "Past the limit of datagrams the oldest goes, and the newest become whole [RFC 6274 §4.1]",
        arguments: Family.allCases)
    func datagrams(family: Family) {
        let host = host(family) { $0.reassemblyDatagrams = 8 }
        // Each of another host, so that none has more than its share.
        for number in 2..<14 { host.inject(pieces(family, 2000, id: 1, from: number)[0], family, from: number) }
        #expect(host.stack.counters[.fragmentEvicted] == 4)
        for number in 2..<6 {
            host.inject(pieces(family, 2000, id: 1, from: number)[1], family, from: number)
            #expect(host.takeEchoes(family).isEmpty, "\(number) was among the oldest")
        }
        // The last fragments of the four oldest have driven out four more.
        for number in 10..<14 {
            host.inject(pieces(family, 2000, id: 1, from: number)[1], family, from: number)
            #expect(host.takeEchoes(family) == [pattern(2000, seed: 1)], "\(number)")
        }
        #expect(host.stack.audit() == nil)
    }

    @Test(
        "A source that fills the table drives out its own, nobody else's [fragment flood]", arguments: Family.allCases)
    func fairness(family: Family) {
        let host = host(family) { $0.reassemblyDatagrams = 8 }
        let honest = pieces(family, 3000, id: 1, from: 3)
        host.inject(honest[0], family, from: 3)
        for id in 0..<500 { host.inject(pieces(family, 2000, id: id)[0], family) }
        host.inject(honest[1], family, from: 3)
        for id in 500..<1000 { host.inject(pieces(family, 2000, id: id)[0], family) }
        host.inject(honest[2], family, from: 3)
        #expect(host.takeEchoes(family) == [pattern(3000, seed: 1)])
        // A second host that wants in takes its place from the one that has most.
        host.inject(pieces(family, 3000, id: 1, from: 4)[0], family, from: 4)
        host.inject(pieces(family, 2000, id: 1, from: 5)[0], family, from: 5)
        for number in [4, 5] {
            let size = number == 4 ? 3000 : 2000
            for piece in pieces(family, size, id: 1, from: number) { host.inject(piece, family, from: number) }
            #expect(host.takeEchoes(family) == [pattern(size, seed: 1)])
        }
    }

    @Test(
        "A source with half of the table drives out its own, though those of others are older [fragment flood]",
        arguments: Family.allCases)
    func share(family: Family) {
        let host = host(family) { $0.reassemblyDatagrams = 8 }
        for number in 3..<7 { host.inject(pieces(family, 2000, id: 1, from: number)[0], family, from: number) }
        for id in 0..<50 { host.inject(pieces(family, 2000, id: id)[0], family) }
        #expect(host.stack.counters[.fragmentEvicted] == 46)
        for number in 3..<7 {
            host.inject(pieces(family, 2000, id: 1, from: number)[1], family, from: number)
            #expect(host.takeEchoes(family) == [pattern(2000, seed: 1)], "\(number)")
        }
    }

    @Test(
        "Their octets stay within their limit, and are shared like the table [fragment flood]",
        arguments: Family.allCases)
    func bytes(family: Family) {
        let limit = 128 << 10
        let host = host(family) { $0.reassemblyBytes = limit }
        let honest = pieces(family, 20_000, id: 1, from: 3)
        for piece in honest.dropLast() { host.inject(piece, family, from: 3) }
        for id in 0..<40 {
            for piece in pieces(family, 30_000, id: id).dropLast() { host.inject(piece, family) }
            #expect(host.fragmentBytes <= limit + 64 * 1024)
            #expect(host.stack.audit() == nil)
        }
        #expect(host.stack.counters[.fragmentEvicted] > 30)
        if let last = honest.last { host.inject(last, family, from: 3) }
        #expect(host.takeEchoes(family) == [pattern(20_000, seed: 1)])
    }

    @Test(
        "Bombs of eight octets in any order: a datagram of more fragments than the limit ends [fragment bomb]",
        arguments: Family.allCases)
    func bomb(family: Family) {
        let host = host(family)
        let octets = pattern(8)
        var most = 0
        for index in 0..<2000 {
            // Every other place, from both ends: nothing ever joins.
            let place = index % 2 == 0 ? 8 * (index + 1) : 65_000 / 8 * 8 - 8 * index
            host.inject(Fragment(offset: place, octets: octets, hasMore: true), family)
            most = max(most, host.fragmentBytes)
        }
        #expect(host.stack.counters[.tooManyFragments] == 2000 - 128)
        #expect(most <= 33 * 2048 + 64 * 1024)
        #expect(host.stack.memory.buffers == 0 && host.stack.audit() == nil)
        host.advance(by: .seconds(30))
        #expect(host.fragmentBytes == 0)
    }

    @Test("A datagram of exactly as many fragments as the limit is whole", arguments: Family.allCases)
    func exactly(family: Family) {
        for (count, isTaken) in [(16, true), (17, false)] {
            let host = host(family) { $0.reassemblyFragments = 16 }
            let data = pattern(count * 80 - 8)
            for piece in cut(echoRequest(family, data), sizes: Array(repeating: 80, count: 20)) {
                host.inject(piece, family)
            }
            #expect(host.takeEchoes(family) == (isTaken ? [data] : []))
        }
    }

    @Test(
        "With the budget full fragments are refused or drive out others, and nothing passes the budget [rule 4]",
        arguments: Family.allCases)
    func budget(family: Family) {
        let host = host(family) {
            $0.memoryBudget = 384 << 10
            $0.reassemblyDatagrams = 256
            $0.reassemblyBytes = 1 << 20
        }
        for id in 0..<60 {
            for number in 2..<5 {
                for piece in pieces(family, 20_000, id: id, from: number).dropLast() {
                    host.inject(piece, family, from: number)
                }
                #expect(host.stack.memory.total <= 384 << 10)
                #expect(host.stack.audit() == nil)
            }
        }
        #expect(host.stack.counters[.fragmentEvicted] + host.stack.counters[.noMemory] > 100)
        for _ in 0..<3 { host.advance(by: .seconds(31)) }
        #expect(host.fragmentBytes == 0 && host.stack.memory.buffers == 0 && host.stack.memory.idleBuffers == 0)
        for piece in pieces(family, 20_000, id: 99) { host.inject(piece, family) }
        #expect(host.takeEchoes(family) == [pattern(20_000, seed: 99)])
    }

    @Test(
        "With no memory for them at all no fragment is kept, and whole packets are answered", arguments: Family.allCases
    )
    func off(family: Family) {
        let host = host(family) { $0.reassemblyBytes = 0 }
        for piece in pieces(family, 3000, id: 1) { host.inject(piece, family) }
        #expect(host.stack.counters[.fragmentEvicted] == 3 && host.stack.memory.buffers == 0)
        let whole = Fragment(offset: 0, octets: echoRequest(family, pattern(40)), hasMore: false)
        host.inject(whole, family)
        #expect(host.takeEchoes(family) == [pattern(40)])
    }
}
