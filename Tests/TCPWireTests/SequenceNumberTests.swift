import TCPWire
import Testing

@Suite("Sequence numbers (RFC 9293 §3.4)")
struct SequenceNumberTests {
    @Test("Arithmetic is modulo 2^32: the number after the last is zero")
    func wraps() {
        #expect(SequenceNumber(0xFFFF_FFFF) + 1 == SequenceNumber(0))
        #expect(SequenceNumber(0) + -1 == SequenceNumber(0xFFFF_FFFF))
        #expect(SequenceNumber(0) - SequenceNumber(0xFFFF_FFFF) == 1)
        #expect(SequenceNumber(0xFFFF_FF00) + 0x200 == SequenceNumber(0x100))
        var number = SequenceNumber(0xFFFF_FFF0)
        number += 0x20
        #expect(number == SequenceNumber(0x10))
    }

    @Test("A number just past the wrap comes after one just before it")
    func orderAcrossTheWrap() {
        let before = SequenceNumber(0xFFFF_FFFE)
        let after = SequenceNumber(2)
        #expect(before < after)
        #expect(before <= after)
        #expect(after > before)
        #expect(after >= before)
        #expect(!(after < before))
        #expect(SequenceNumber.later(before, after) == after)
        #expect(SequenceNumber.earlier(before, after) == before)
        #expect(after.distance(from: before) == 4)
        #expect(before.distance(from: after) == -4)
    }

    @Test("The sign bit of a 32-bit number is no border", arguments: [0x7FFF_FFFF, 0xFFFF_FFFF] as [UInt32])
    func orderAcrossSignBit(edge: UInt32) {
        #expect(SequenceNumber(edge) < SequenceNumber(edge &+ 1))
        #expect(SequenceNumber(edge &+ 1) > SequenceNumber(edge))
        #expect(SequenceNumber(edge &- 1000) < SequenceNumber(edge &+ 1000))
    }

    @Test("A number is neither before nor after itself")
    func equality() {
        for raw in [0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF] as [UInt32] {
            let number = SequenceNumber(raw)
            #expect(!(number < number))
            #expect(!(number > number))
            #expect(number <= number)
            #expect(number >= number)
            #expect(number.distance(from: number) == 0)
        }
    }

    @Test("All arithmetic agrees with 64-bit numbers that never wrap")
    func agreesWithWideModel() {
        var numbers = Numbers(seed: 1)
        for _ in 0..<trials {
            // A long connection: the true positions are 64-bit, what stands on the wire is their last 32 bits.
            let origin = Int64(numbers.below(1 << 40)) + Int64(numbers.edgy())
            let step = Int64(Int32(bitPattern: numbers.edgy()))
            let first = SequenceNumber(UInt32(truncatingIfNeeded: origin))
            let second = SequenceNumber(UInt32(truncatingIfNeeded: origin + step))
            #expect(first + Int(step) == second)
            #expect(second.distance(from: first) == Int(step))
            #expect(Int64(second - first) == (step + 1 << 32) % (1 << 32))
            if step >= 0 { #expect(first + UInt32(step) == second) }
            // An order exists only between numbers less than 2^31 apart.
            guard abs(step) < 1 << 31 else { continue }
            #expect((first < second) == (step > 0))
            #expect((first <= second) == (step >= 0))
            #expect((first > second) == (step < 0))
            #expect((first >= second) == (step <= 0))
            #expect(SequenceNumber.later(first, second) == (step > 0 ? second : first))
            #expect(SequenceNumber.earlier(first, second) == (step < 0 ? second : first))
        }
    }

    @Test("Counts far beyond 2^32 still land on the right number")
    func hugeCounts() {
        let four = 4 << 30
        #expect(SequenceNumber(7) + (four + 5) == SequenceNumber(12))
        #expect(SequenceNumber(7) + -(four + 8) == SequenceNumber(0xFFFF_FFFF))
        #expect(SequenceNumber(1) + Int.max == SequenceNumber(0))
        #expect(SequenceNumber(0) + Int.min == SequenceNumber(0))
    }
}
