import TCPWire

/// The fast sum, in pieces and at once, against the plain one.
public func fuzzChecksum(_ input: RawSpan) {
    var octets = Octets(input)
    let cuts = [octets.below(64) * 2, octets.below(64) * 2]
    let bytes = octets.rest()
    var checksum = Checksum()
    checksum.add(bytes.span.bytes)
    let plain = naiveSum(bytes)
    require(same(checksum.folded, plain), "the sum differs from the plain one")

    var pieces = Checksum()
    var start = 0
    for cut in cuts + [bytes.count] {
        let end = max(start, min(cut, bytes.count))
        pieces.add(bytes.span.bytes.extracting(start..<end))
        start = end
    }
    require(pieces.value == checksum.value, "the sum of the pieces differs from the sum of the whole")

    // With its own value added everything sums up to nothing.
    checksum.add(checksum.value)
    require(checksum.value == 0, "a sum with its checksum is not zero")

    var words = Checksum()
    var index = 0
    while index + 4 <= bytes.count {
        words.add(bytes.span.bytes.be32(index))
        index += 4
    }
    words.add(bytes.span.bytes.extracting(index..<bytes.count))
    require(words.value == pieces.value, "numbers and octets sum up differently")
}

/// RFC 1071 §2: both zeros of one's complement are zero.
private func same(_ left: UInt16, _ right: UInt16) -> Bool { left == right || left % 0xFFFF == right % 0xFFFF }
