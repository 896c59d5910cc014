import Glibc

// What the compiler itself copies goes through the executable's `memcpy`, as `AllocationCount.swift` has it of `malloc`.
// Octets of payload are moved by `memmove`, which is left alone.

nonisolated(unsafe) private var octets = 0

/// Octets that calls of `memcpy` have copied in this process, since it started.
func copiedOctets() -> Int {
    // To the optimizer `memcpy` changes nothing but its destination; of this call it knows nothing.
    sched_yield()
    return octets
}

/// `memcpy`, counted.
@c(counted_memcpy)
public func countedMemcpy(
    _ destination: UnsafeMutableRawPointer, _ source: UnsafeRawPointer, _ count: Int
) -> UnsafeMutableRawPointer {
    octets &+= count
    return memmove(destination, source, count)
}

/// The most that is copied besides payload for a request and its response, each with the acknowledgment of the other: far
/// more means that the compiler copies a stack or a connection whole where it is only looked at.
private let mostOctetsAnExchange = 16 << 10

/// Changes a copy of its own of what it is given.
@inline(never)
private func changed(_ source: InlineArray<4096, UInt8>, at index: Int) -> UInt8 {
    var copy = source
    change(&copy, at: index)
    return copy[index]
}

@inline(never) private func change(_ octets: inout InlineArray<4096, UInt8>, at index: Int) { octets[index] &+= 1 }

func copies(_ context: BenchmarkContext) throws {
    // The control: a structure of a known size, copied.
    let source = InlineArray<4096, UInt8>(repeating: 1)
    let start = copiedOctets()
    for index in 0..<100 where changed(source, at: index) != 2 { throw BenchmarkError("a copy is not its own") }
    let counted = copiedOctets() - start
    context.report.add("control: 4,096 octets, 100 times", "counted", Double(counted), "octets")
    guard counted >= 409_600 else { throw BenchmarkError("the counter saw \(counted) of 409,600 octets") }
    for family in Family.allCases {
        let conversation = try Conversation(family: family)
        let before = copiedOctets()
        try conversation.exchange(count: 10_000)
        let each = (copiedOctets() - before) / 10_000
        context.report.add(family.rawValue, "octets copied per exchange", Double(each), "octets")
        guard each <= mostOctetsAnExchange else {
            throw BenchmarkError("\(each) octets are copied for an exchange, at most \(mostOctetsAnExchange) may be")
        }
    }
}
