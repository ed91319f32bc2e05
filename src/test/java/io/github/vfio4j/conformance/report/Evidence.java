package io.github.vfio4j.conformance.report;

import io.github.vfio4j.Errno;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** What a run has seen: every answer of every device, and what has failed. Safe for use by many threads. */
public final class Evidence {

    /** As they are written in reports, in this order. */
    private static final List<Map.Entry<String, Integer>> FLAGS = List.of(Map.entry("PROBE", 1 << 18),
            Map.entry("GET", 1 << 16), Map.entry("SET", 1 << 17));

    private final Map<Question, Map<String, Integer>> answers = new LinkedHashMap<>();
    private final List<Failure> failures = new ArrayList<>();
    private @Nullable Question last;

    /** Nothing has been seen yet. */
    public Evidence() {
    }

    /**
     * A device has answered VFIO_DEVICE_FEATURE.
     *
     * @param target
     *            the device's name
     * @param kernel
     *            the kernel it is on
     * @param featureIndex
     *            bits 0‥15 of the flags
     * @param operation
     *            the operations among the flags: {@code GET}, {@code SET}, {@code GET|SET}, {@code PROBE},
     *            {@code PROBE|GET}, …, or {@code none}
     * @param answer
     *            {@code 0} for a probe that has found it, {@code carried out}, or an errno by its name
     */
    public synchronized void answered(String target, String kernel, int featureIndex, String operation, String answer) {
        last = new Question(target, kernel, featureIndex, operation);
        answers.computeIfAbsent(last, question -> new TreeMap<>()).merge(answer, 1, Integer::sum);
    }

    /**
     * A device has answered VFIO_DEVICE_FEATURE.
     *
     * @param target
     *            the device's name
     * @param kernel
     *            the kernel it is on
     * @param flags
     *            of the request
     * @param result
     *            &ge; 0, or −errno
     */
    public void answered(String target, String kernel, int flags, int result) {
        List<String> operations = new ArrayList<>();
        for (Map.Entry<String, Integer> flag : FLAGS) {
            if ((flags & flag.getValue()) != 0) {
                operations.add(flag.getKey());
            }
        }
        boolean probe = operations.contains("PROBE");
        String answer = result < 0 ? Errno.ofResult(result).name() : probe ? "0" : "carried out";
        answered(target, kernel, flags & 0xffff, operations.isEmpty() ? "none" : String.join("|", operations), answer);
    }

    /**
     * A property has failed.
     *
     * @param failure
     *            where and how
     */
    public synchronized void failed(Failure failure) {
        failures.add(failure);
    }

    /**
     * What was asked last.
     *
     * @return the same object until something else is asked; null before the first question
     */
    public synchronized @Nullable Question last() {
        return last;
    }

    /**
     * All answers, in the order in which the questions were first asked.
     *
     * @return a copy: how often there was which answer
     */
    public synchronized Map<Question, Map<String, Integer>> answers() {
        Map<Question, Map<String, Integer>> copy = new LinkedHashMap<>();
        answers.forEach((question, counts) -> copy.put(question, new TreeMap<>(counts)));
        return copy;
    }

    /**
     * What has failed.
     *
     * @return a copy, in order
     */
    public synchronized List<Failure> failures() {
        return List.copyOf(failures);
    }
}
