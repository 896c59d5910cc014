import TCPEngine
import TCPWire
import Testing

@Suite("The block pool behaves as an allocator without bounds would")
struct PoolModelTests {
    @Test("No block is given twice, each keeps what was stored in it, and every byte is accounted")
    func blocks() {
        for seed in 0..<UInt64(rounds / 20) {
            var random = Generator(state: seed &+ 4_000_000)
            var pool = BlockPool()
            var budget = Budget(limit: 20 * 64 * 1024 + 17)
            var model: [UInt32: UInt8] = [:]
            for _ in 0..<400 {
                if Int.random(in: 0..<5, using: &random) > 1 || model.isEmpty {
                    let block = pool.allocate(&budget)
                    if block == BlockPool.none {
                        #expect(budget.remaining < 64 * 1024, "seed \(seed): refused with room left")
                        continue
                    }
                    let octet = UInt8.random(in: 0...255, using: &random)
                    #expect(model.updateValue(octet, forKey: block) == nil, "seed \(seed): block \(block) was in use")
                    let bytes = [UInt8](repeating: octet, count: BlockPool.blockSize)
                    pool.store(bytes.span.bytes, in: block, at: 0)
                } else if let block = model.keys.sorted().randomElement(using: &random) {
                    let isKept = holds(block, model[block] ?? 0, pool)
                    #expect(isKept, "seed \(seed): block \(block) has changed")
                    pool.release(block, &budget)
                    model[block] = nil
                    if Int.random(in: 0..<10, using: &random) == 0 {
                        pool.trim(all: Bool.random(using: &random), &budget)
                    }
                }
                #expect(pool.usedBlocks == model.count, "seed \(seed)")
                #expect(budget.used == pool.usedBytes + pool.idleBytes && budget.used <= budget.limit, "seed \(seed)")
            }
            for (block, octet) in model {
                let isKept = holds(block, octet, pool)
                #expect(isKept, "seed \(seed): block \(block) has changed")
                pool.release(block, &budget)
            }
            pool.trim(all: true, &budget)
            #expect(budget.used == 0 && pool.idleBytes == 0, "seed \(seed)")
        }
    }

    private func holds(_ block: UInt32, _ octet: UInt8, _ pool: borrowing BlockPool) -> Bool {
        var target = [UInt8](repeating: ~octet, count: BlockPool.blockSize)
        var span = target.mutableSpan
        var raw = span.mutableBytes
        pool.copy(block, 0..<BlockPool.blockSize, to: &raw, at: 0)
        return target.allSatisfy { $0 == octet }
    }

    @Test("A queue that is cut at its end keeps what is left, and can be appended to again")
    func truncating() {
        for seed in 0..<UInt64(rounds / 8) {
            var random = Generator(state: seed &+ 5_000_000)
            var pool = BlockPool()
            var budget = Budget(limit: 1 << 22)
            var queue = ByteQueue()
            var model: [UInt8] = []
            for _ in 0..<30 {
                switch Int.random(in: 0..<3, using: &random) {
                case 0:
                    let bytes = (0..<Int.random(in: 1...5000, using: &random)).map {
                        UInt8(truncatingIfNeeded: $0 &* 31)
                    }
                    #expect(queue.append(bytes.span.bytes, &pool, &budget) == bytes.count)
                    model += bytes
                case 1:
                    let kept = Int.random(in: 0...model.count, using: &random)
                    queue.truncate(to: kept, &pool, &budget)
                    model.removeLast(model.count - kept)
                default:
                    let gone = Int.random(in: 0...min(model.count, 3000), using: &random)
                    queue.removeFirst(gone, &pool, &budget)
                    model.removeFirst(gone)
                }
                let kept = contents(queue, pool)
                #expect(queue.count == model.count && kept == model, "seed \(seed)")
                #expect(queue.heldBlocks == pool.usedBlocks, "seed \(seed)")
            }
            queue.removeAll(&pool, &budget)
            #expect(pool.usedBlocks == 0, "seed \(seed)")
        }
    }

    private func contents(_ queue: borrowing ByteQueue, _ pool: borrowing BlockPool) -> [UInt8] {
        var target = [UInt8](repeating: 0, count: queue.count)
        var span = target.mutableSpan
        var raw = span.mutableBytes
        queue.copy(from: 0, count: queue.count, to: &raw, at: 0, pool)
        return target
    }
}
