import Glibc
import Testing

/// The wire between the kernel and us carries real octets through real losses; how long it takes is for people to read.
@Suite("The wire's benchmark")
struct WireTests {
    static let isPossible = geteuid() == 0 && access("/dev/net/tun", R_OK | W_OK) == 0
    static let isRequired = getenv("TCP_REQUIRE_KERNEL_TESTS").map { String(cString: $0) } == "1"

    @Test(
        "Every octet between the kernel and us arrives right over a lossy wire, each way",
        .enabled(if: isPossible || isRequired, "it needs root and /dev/net/tun"))
    func wire() throws {
        let figures = try benchmark("wire")
        // The benchmark fails at a wrong or a missing octet; here all of it has to have run.
        for variant in ["clean", "1 % loss"] {
            let own = figures.filter { $0.variant == variant }
            #expect(own.first { $0.metric == "runs that arrived whole" }?.value == 9)
            for pair in ["kernel to kernel", "ours to kernel", "kernel to ours"] {
                #expect(own.first { $0.metric == pair }.map { $0.value > 0 } == true, "\(variant), \(pair)")
            }
        }
        // The wire lost what it was told to: without that there was nothing to be seen.
        for figure in figures where figure.variant == "1 % loss" && figure.metric.hasSuffix(", lost") {
            #expect(figure.value > 0)
        }
    }
}
