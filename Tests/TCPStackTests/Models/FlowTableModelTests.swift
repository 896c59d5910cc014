import TCPStack
import TCPWire
import Testing

@Suite("The flow table behaves as a dictionary")
struct FlowTableModelTests {
    #if DEBUG
        static let seeds = 4
        static let steps = 600
    #else
        static let seeds = 60
        static let steps = 4_000
    #endif

    private func key(_ number: Int) -> FlowKey {
        let address =
            number % 2 == 0
            ? IPAddress(ipv4: 0x0A00_0000 | UInt32(number % 7)) : IPAddress(high: 0xFD, low: UInt64(number))
        return FlowKey(
            remote: address, remotePort: UInt16(truncatingIfNeeded: number), local: UInt16(number % 3), localPort: 80)
    }

    @Test("What was inserted is found, what was removed is not, through growth and shrinking, and memory is given back")
    func agrees() {
        for seed in 0..<UInt64(Self.seeds) {
            var random = WheelRandom(state: seed)
            var table = FlowTableProbe(secret: StackSecret(random.next(), random.next()), limit: 1 << 30)
            let empty = table.held
            var model: [Int: UInt32] = [:]
            // Growing at first, shrinking later.
            for step in 0..<Self.steps {
                let number = Int.random(in: 0..<Self.steps, using: &random)
                let grows = Int.random(in: 0..<Self.steps, using: &random) > step
                if let slot = model[number] {
                    #expect(table.find(key(number)) == slot, "seed \(seed)")
                    if !grows {
                        table.remove(slot)
                        model[number] = nil
                        #expect(table.find(key(number)) == nil, "seed \(seed)")
                    }
                } else {
                    #expect(table.find(key(number)) == nil, "seed \(seed)")
                    if grows { model[number] = table.insert(key(number)) }
                }
                #expect(table.count == model.count, "seed \(seed)")
            }
            for (number, slot) in model { #expect(table.find(key(number)) == slot, "seed \(seed)") }
            for slot in model.values { table.remove(slot) }
            #expect(table.count == 0 && table.held == empty, "seed \(seed): \(table.held) bytes are still held")
        }
    }

    @Test("Without memory to grow the table takes what it has room for, and finds it all")
    func withoutMemory() {
        var table = FlowTableProbe(secret: StackSecret(1, 2), limit: 16_384)
        var stored: [(Int, UInt32)] = []
        for number in 0..<2_000 {
            if let slot = table.insert(key(number)) { stored.append((number, slot)) }
        }
        #expect(!stored.isEmpty && stored.count < 2_000)
        #expect(table.held <= 16_384)
        for (number, slot) in stored { #expect(table.find(key(number)) == slot) }
        #expect(table.find(key(5_000)) == nil)
    }

    @Test("An empty table holds what a new one holds, though the budget was used up while it shrank")
    func emptyWithoutMemory() {
        var table = FlowTableProbe(secret: StackSecret(1, 2), limit: 1 << 20)
        let empty = table.held
        let slots = (0..<60).compactMap { table.insert(key($0)) }
        #expect(slots.count == 60)
        let rest = table.takeRest()
        for slot in slots { table.remove(slot) }
        #expect(table.held - rest == empty)
    }
}

@Suite struct FlowHashTests {
    @Test("Neighbours do not share a hash: every bit of a key counts", arguments: Family.allCases)
    func everyBit(family: Family) {
        let secret = StackSecret(0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210)
        let base = family.address(2)
        let key = FlowKey(remote: base, remotePort: 1000, local: 0, localPort: 80)
        var seen: Set<UInt32> = [key.hash(secret)]
        var count = 1
        for bit in 0..<(family == .ipv4 ? 32 : 64) {
            let other = IPAddress(high: base.high, low: base.low ^ 1 << UInt64(bit))
            seen.insert(FlowKey(remote: other, remotePort: 1000, local: 0, localPort: 80).hash(secret))
            count += 1
        }
        for bit in 0..<16 {
            seen.insert(
                FlowKey(remote: base, remotePort: 1000 ^ 1 << UInt16(bit), local: 0, localPort: 80).hash(secret))
            seen.insert(
                FlowKey(remote: base, remotePort: 1000, local: 0, localPort: 80 ^ 1 << UInt16(bit)).hash(secret))
            count += 2
        }
        #expect(seen.count == count)
    }
}
