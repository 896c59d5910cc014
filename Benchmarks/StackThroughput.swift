import TCPEngine
import TCPStack
import TCPWire

/// The benchmarks of the stack alone: no device, no kernel, no waiting.
let stackBenchmarks = [
    Benchmark(name: "bulk", summary: "one stream through two joined stacks", body: bulk),
    Benchmark(name: "exchange", summary: "requests and responses of 64 bytes, one after the other", body: exchange),
    Benchmark(name: "connections", summary: "connections opened and closed, one after the other", body: openAndClose),
    Benchmark(name: "memory", summary: "bytes per connection and entry in one stack", body: memory),
    Benchmark(name: "allocations", summary: "calls of the allocator per segment in steady state", body: allocations),
    Benchmark(name: "copies", summary: "what the compiler copies of state for an exchange", body: copies),
]

/// The ways a stream is cut into packets.
private let cuts = [("MSS-size segments", false), ("super-segments", true)]

/// A stream from client to server that is under way.
struct Stream {
    let pair: StackPair
    let client: ConnectionID
    let server: ConnectionID

    init(family: Family, superSegments: Bool, losesOneIn: Int = 0) throws {
        pair = StackPair(family: family, superSegments: superSegments)
        let listener = try pair.server.listen(on: StackPair.port, at: pair.now)
        (client, server) = try pair.connect(listener)
        pair.losesOneIn = losesOneIn
        // Past slow start, and with every buffer made that will be needed.
        try move(octets: 16 << 20)
    }

    /// Carries `octets` from end to end.
    func move(octets: Int) throws {
        var written = 0
        var read = 0
        var idle = 0
        while read < octets {
            if written < octets { written += try pair.write(client, count: min(256 << 10, octets - written)) }
            pair.settle()
            let count = try pair.drainServer(server)
            read += count
            idle = count == 0 ? idle + 1 : 0
            // With nothing to carry, a timer has to speak: a delayed acknowledgment, at the end of a small window.
            if count == 0 { pair.pass(.milliseconds(50)) } else { pair.pass(.microseconds(20)) }
            guard idle < 1000 else { throw BenchmarkError("the stream stands still after \(read) octets") }
        }
    }
}

private func bulk(_ context: BenchmarkContext) throws {
    for family in Family.allCases {
        for (name, superSegments) in cuts {
            let stream = try Stream(family: family, superSegments: superSegments)
            var rates: [Double] = []
            var segmentRates: [Double] = []
            for _ in 0..<context.samples {
                let segments = stream.pair.segments
                let start = clock()
                var octets = 0
                while clock() - start < context.sampleSeconds {
                    try stream.move(octets: 4 << 20)
                    octets += 4 << 20
                }
                let seconds = clock() - start
                rates.append(Double(octets) * 8 / seconds / 1e9)
                segmentRates.append(Double(stream.pair.segments - segments) / seconds)
            }
            let variant = "\(family.rawValue), \(name)"
            context.report.add(variant, "payload", median(rates), "Gbit/s")
            context.report.add(variant, "segments with their ACKs", median(segmentRates), "segments/s")
        }
    }
}

/// Requests and responses of 64 bytes over one connection.
struct Conversation {
    let pair: StackPair
    let client: ConnectionID
    let server: ConnectionID

    init(family: Family) throws {
        pair = StackPair(family: family)
        let listener = try pair.server.listen(on: StackPair.port, at: pair.now)
        var options = ConnectionOptions()
        options.noDelay = true
        (client, server) = try pair.connect(listener, options: options)
        try exchange(count: 1000)
    }

    func exchange(count: Int) throws {
        for _ in 0..<count {
            guard try pair.write(client, count: 64) == 64 else { throw BenchmarkError("a request found no room") }
            pair.settle()
            guard try pair.drainServer(server) == 64 else { throw BenchmarkError("a request was lost") }
            guard try pair.answer(server, count: 64) == 64 else { throw BenchmarkError("a response found no room") }
            pair.settle()
            guard try pair.drainClient(client) == 64 else { throw BenchmarkError("a response was lost") }
            pair.pass(.microseconds(50))
        }
    }
}

private func exchange(_ context: BenchmarkContext) throws {
    for family in Family.allCases {
        let conversation = try Conversation(family: family)
        var rates: [Double] = []
        for _ in 0..<context.samples {
            let start = clock()
            var count = 0
            while clock() - start < context.sampleSeconds {
                try conversation.exchange(count: 1000)
                count += 1000
            }
            rates.append(Double(count) / (clock() - start))
        }
        context.report.add(family.rawValue, "exchanges", median(rates), "exchanges/s")
    }
}

private func openAndClose(_ context: BenchmarkContext) throws {
    for family in Family.allCases {
        let pair = StackPair(family: family)
        let listener = try pair.server.listen(on: StackPair.port, at: pair.now)
        var rates: [Double] = []
        for _ in 0..<context.samples {
            let start = clock()
            var count = 0
            while clock() - start < context.sampleSeconds {
                for _ in 0..<100 {
                    let (client, server) = try pair.connect(listener)
                    try pair.client.close(client, at: pair.now)
                    pair.settle()
                    pair.server.release(server, at: pair.now)
                    pair.settle()
                    pair.client.release(client, at: pair.now)
                    // TIME-WAIT lasts a minute; at this pace twelve thousand ports are in it.
                    pair.pass(.milliseconds(5))
                }
                count += 100
            }
            rates.append(Double(count) / (clock() - start))
        }
        context.report.add(family.rawValue, "opened and closed", median(rates), "connections/s")
    }
}

private func allocations(_ context: BenchmarkContext) throws {
    // The control: the counter sees what a program allocates.
    let before = allocationCount()
    for size in 1...1000 { withExtendedLifetime([UInt8](repeating: 1, count: size * 16)) {} }
    var kept: [[UInt8]] = []
    kept.reserveCapacity(1000)
    let start = allocationCount()
    for size in 1...1000 { kept.append([UInt8](repeating: 1, count: size)) }
    let counted = allocationCount() - start
    guard kept.count == 1000, counted == 1000, start >= before else {
        throw BenchmarkError("the counter saw \(counted) of 1,000 allocations")
    }
    context.report.add("control: 1,000 arrays made", "counted", Double(counted), "allocations")
    for family in Family.allCases {
        for (name, superSegments) in cuts {
            let stream = try Stream(family: family, superSegments: superSegments)
            try count(context, "\(family.rawValue), \(name)", stream.pair) {
                try stream.move(octets: bulkSize(context))
            }
        }
        let lossy = try Stream(family: family, superSegments: false, losesOneIn: 100)
        try countInRecovery(context, "\(family.rawValue), 1 of 100 lost", lossy)
        let conversation = try Conversation(family: family)
        try count(context, "\(family.rawValue), exchanges", conversation.pair) {
            try conversation.exchange(count: bulkSize(context) >> 12)
        }
    }
}

/// A recovery makes what may take it back, and the receiver its list of what came early: an allocation each, and one for what
/// either list holds. More would be one for each segment.
private func countInRecovery(_ context: BenchmarkContext, _ variant: String, _ stream: Stream) throws {
    let recoveries = stream.pair.client.counters.recoveries
    let made = try count(context, variant, stream.pair) { try stream.move(octets: bulkSize(context)) }
    let begun = Int(stream.pair.client.counters.recoveries - recoveries)
    context.report.add(variant, "allocations per recovery", Double(made) / Double(max(begun, 1)), "")
    guard begun > 100, made <= 4 * begun else { throw BenchmarkError("\(made) allocations in \(begun) recoveries") }
}

private func bulkSize(_ context: BenchmarkContext) -> Int {
    context.isQuick ? 64 << 20 : 256 << 20
}

/// Reports the allocations of `work`, and how many there were for each segment that either stack sent. Says how many.
@discardableResult
private func count(
    _ context: BenchmarkContext, _ variant: String, _ pair: StackPair, work: () throws -> Void
) throws -> Int {
    let segments = pair.segments
    let start = allocationCount()
    try work()
    let allocations = allocationCount() - start
    let sent = pair.segments - segments
    context.report.add(variant, "segments", Double(sent), "segments")
    context.report.add(variant, "allocations", Double(allocations), "allocations")
    context.report.add(variant, "allocations per segment", Double(allocations) / Double(sent), "")
    return allocations
}
